# SPDX-License-Identifier: Apache-2.0
"""Static quantization of ONNX files (QDQ): int8 weights, 8- or 16-bit activations, fallback to float or 16 bit.

Activations are uint8: with int8 ones x86 leaves most convolutions in float (measured 1.9 times the float model's
latency instead of 0.8), and ARM runs both. 16-bit ones are unsigned too; ONNX Runtime computes them in float.
Files for what knows no zero points (`PassRequest.symmetric`) are int8 throughout.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewright.config.file_passes import PtqW8A16
from edgewright.errors import ExportError
from edgewright.integrations.runtimes.onnxruntime import graph as onnx_graph
from edgewright.integrations.runtimes.onnxruntime.file import inspect, write
from edgewright.integrations.runtimes.onnxruntime.ranges import Observed, Samples
from edgewright.integrations.runtimes.onnxruntime.session import open_session
from edgewright.quantize import answers, quantize, with_followers
from edgewright.runtime import Array, PassRequest, refusals


def to_static(request: PassRequest) -> dict[str, Any]:
    """Quantize with scales from the calibration inputs; inputs and outputs of the file stay float32.

    Raises:
        ExportError: ONNX Runtime's quantizer refused the file, found no weight in it to quantize, or no fallback is
            exact enough.
    """
    import onnx

    with (
        tempfile.TemporaryDirectory(prefix="edgewright-qdq-") as folder,
        refusals("ONNX Runtime cannot quantize", request.parent),
    ):
        chosen = quantize(request, _QdqQuantizer(request, Path(folder)))
        if not onnx_graph.static_weights(onnx.load(str(request.out)).graph):
            raise ExportError(
                "ONNX Runtime quantized no weight"
                + (": only with all layers in float does it agree enough" if chosen.get("kept_float") else ""),
                where=str(request.parent),
                to_do=f"leave {request.options.name} out of this target's ladder",
            )
    return chosen


class _QdqQuantizer:
    """ONNX Runtime's quantizer on one prepared file."""

    def __init__(self, request: PassRequest, folder: Path) -> None:
        import onnx
        from onnxruntime.quantization.shape_inference import quant_pre_process

        self._options, self._inputs, self._folder = request.options, request.calibration, folder
        self._symmetric = request.symmetric
        self._prepared = folder / "prepared.onnx"
        quant_pre_process(str(request.parent), str(self._prepared))
        self._graph = onnx.load(str(self._prepared)).graph
        self._name = self._graph.input[0].name
        self._layers = onnx_graph.layers(self._graph)
        self._observed = Observed(self._prepared, self._name, self._inputs)

    @property
    def layers(self) -> Sequence[str]:
        return tuple(self._layers.values())

    def write(self, calibration: str, kept: frozenset[str], out: Path) -> None:
        import onnx
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

        ranges, quantized = self._folder / f"{calibration}.json", self._folder / "quantized.onnx"
        if calibration != "minmax" and not ranges.exists():
            self._observed.save(calibration, ranges)
        nodes = with_followers(kept, self._layers, onnx_graph.operators(self._graph))
        quantize_static(
            str(self._prepared),
            str(quantized),
            None if ranges.exists() else Samples(self._name, self._inputs),
            quant_format=QuantFormat.QDQ,
            per_channel=self._options.per_channel,
            activation_type=self._activations(),
            weight_type=QuantType.QInt8,
            op_types_to_quantize=list(onnx_graph.LAYERS) if self._symmetric else None,
            nodes_to_exclude=sorted(nodes) if self._options.fallback == "float" else None,
            extra_options=self._extra_options(nodes),
            calibration_cache_path=ranges,
        )
        model = onnx.load(str(quantized))
        if self._options.fallback == "float":
            onnx_graph.shield(model.graph, nodes & self._layers.keys())
        write(model, out)

    def run(self, file: Path, inputs: Array) -> Array:
        return answers(open_session(file, 1), inspect(file), inputs)

    def _activations(self) -> Any:
        from onnxruntime.quantization import QuantType

        if isinstance(self._options, PtqW8A16):
            return QuantType.QUInt16
        return QuantType.QInt8 if self._symmetric else QuantType.QUInt8

    def _extra_options(self, nodes: set[str]) -> dict[str, Any]:
        overrides = {"TensorQuantOverrides": self._overrides(nodes)} if self._options.fallback == "int16" else {}
        if not self._symmetric:
            return overrides
        # int32 biases would be dequantized too, which takes another type; outputs of layers are not yet clamped
        only = {"QuantizeBias": False, "OpTypesToExcludeOutputQuantization": list(onnx_graph.LAYERS)}
        return {**overrides, **only, "ActivationSymmetric": True}

    def _overrides(self, nodes: set[str]) -> dict[str, list[dict[str, Any]]]:
        """16 bits for what the given nodes return; the other nodes that read it get it in 8."""
        from onnxruntime.quantization import QuantType

        readers: dict[str, set[str]] = {}
        for node in self._graph.node:
            for tensor in node.input:
                readers.setdefault(tensor, set()).add(node.name)
        overrides: dict[str, list[dict[str, Any]]] = {}
        for node in self._graph.node:
            for tensor in node.output if node.name in nodes else ():
                override: dict[str, Any] = {"quant_type": QuantType.QUInt16}
                narrow = readers.get(tensor, set()) - nodes
                if narrow:
                    override["convert"] = {"quant_type": QuantType.QUInt8, "recv_nodes": narrow}
                overrides[tensor] = [override]
        return overrides
