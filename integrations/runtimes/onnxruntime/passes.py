# SPDX-License-Identifier: Apache-2.0
"""File passes for ONNX: static quantization (QDQ, 8-bit activations, int8 weights) and float16 weights.

Activations are uint8: with int8 ones x86 leaves most convolutions in float (measured 1.9 times the float model's
latency instead of 0.8), and ARM runs both.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.calibration import Histogram, entropy_range
from edgewright.errors import ExportError
from edgewright.integrations.runtimes.onnxruntime.file import write
from edgewright.runtime import Array, PassRequest, refusals


def quantize(request: PassRequest) -> None:
    """Quantize with scales from the calibration inputs; inputs and outputs of the file stay float32.

    Raises:
        ExportError: ONNX Runtime's quantizer refused the file, or found nothing in it to quantize.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with (
        tempfile.TemporaryDirectory(prefix="edgewright-qdq-") as folder,
        refusals("ONNX Runtime cannot quantize", request.parent),
    ):
        prepared, quantized, ranges = (Path(folder) / name for name in ("prepared.onnx", "quantized.onnx", "ranges.json"))
        quant_pre_process(str(request.parent), str(prepared))
        name = onnx.load(str(prepared)).graph.input[0].name
        if request.options.calibration == "entropy":
            _save_entropy_ranges(prepared, name, request.calibration, ranges)
        quantize_static(
            str(prepared),
            str(quantized),
            None if ranges.exists() else _Samples(name, request.calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=request.options.per_channel,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibration_cache_path=ranges if ranges.exists() else None,
        )
        model = onnx.load(str(quantized))
        if not any(node.op_type == "QuantizeLinear" for node in model.graph.node):
            raise ExportError(
                "ONNX Runtime found no operator to quantize",
                where=str(request.parent),
                to_do="leave ptq_w8a8 out of this target's ladder",
            )
        write(model, request.out)


def to_float16(request: PassRequest) -> None:
    """Store weights and compute in float16; inputs and outputs of the file stay float32.

    Raises:
        ExportError: the converter refused the file.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    with refusals("ONNX Runtime cannot convert to float16", request.parent):
        converted = OnnxModel(convert_float_to_float16(onnx.load(str(request.parent)), keep_io_types=True))
        converted.topological_sort(is_deterministic=True)  # the converter appends its casts at the end
        write(converted.model, request.out)


class _Samples:
    """Calibration inputs as ONNX Runtime's CalibrationDataReader wants them: one feed a call, then None."""

    def __init__(self, name: str, inputs: Array) -> None:
        self._feeds = ({name: np.ascontiguousarray(sample[None])} for sample in inputs)

    def get_next(self) -> dict[str, Array] | None:
        return next(self._feeds, None)


def _save_entropy_ranges(file: Path, name: str, inputs: Array, out: Path) -> None:
    """Write ranges as ONNX Runtime's calibration cache: by entropy inside the graph, whole for its input and outputs.

    Clipping those would change what the file takes and answers, which no range inside can make good.
    """
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData, save_tensors_data

    histograms, whole = _observe(file, name, inputs)
    ranges = {tensor: (seen.low, seen.high) if tensor in whole else entropy_range(seen) for tensor, seen in histograms.items()}
    found = {tensor: (np.float32(low), np.float32(high)) for tensor, (low, high) in ranges.items()}
    save_tensors_data(TensorsData(CalibrationMethod.MinMax, found), out)


def _observe(file: Path, name: str, inputs: Array) -> tuple[dict[str, Histogram], set[str]]:
    """Run all samples, every float activation an output; return histograms, and the names of the file's inputs and outputs."""
    import onnx
    import onnxruntime

    model: Any = onnx.load(str(file))
    graph = model.graph
    outputs = {value.name for value in graph.output}
    inner = [value for value in graph.value_info if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT]
    graph.output.extend(value for value in inner if value.name not in outputs)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    histograms = {value.name: Histogram() for value in graph.output} | {name: Histogram()}
    for sample in inputs:
        fed = np.ascontiguousarray(sample[None])
        histograms[name].add(fed)
        for value, seen in zip(graph.output, session.run(None, {name: fed}), strict=True):
            histograms[value.name].add(seen)
    return histograms, outputs | {name}
