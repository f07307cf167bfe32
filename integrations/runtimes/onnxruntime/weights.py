# SPDX-License-Identifier: Apache-2.0
"""Passes on the weights of ONNX files, without calibration: int8 with dynamic activations, int4 in blocks, float16."""

import tempfile
from pathlib import Path
from typing import Any

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.onnxruntime import graph as onnx_graph
from edgewright.integrations.runtimes.onnxruntime.file import write
from edgewright.runtime import PassRequest, refusals

LARGE = 1024
"""A matrix of fewer weights saves less than its scales and the extra operators cost; the same limit as TensorFlow Lite's."""
_BLOCK_SIZE = 32


def to_dynamic(request: PassRequest) -> None:
    """Store weights as uint8; each activation is quantized by the range it has, as the file runs.

    uint8, not int8: on x86 the integer convolutions of ONNX Runtime were four times slower with int8 weights.

    Raises:
        ExportError: ONNX Runtime's quantizer refused the file, or found no weight in it to quantize.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with (
        tempfile.TemporaryDirectory(prefix="edgewright-dynamic-") as folder,
        refusals("ONNX Runtime cannot quantize", request.parent),
    ):
        prepared, quantized = Path(folder) / "prepared.onnx", Path(folder) / "quantized.onnx"
        quant_pre_process(str(request.parent), str(prepared))
        quantize_dynamic(str(prepared), str(quantized), per_channel=True, weight_type=QuantType.QUInt8)
        model = onnx.load(str(quantized))
        if not onnx_graph.count(model.graph, "ConvInteger", "MatMulInteger"):
            raise _nothing(request, "no convolution and no matrix multiplication with a constant weight")
        write(model, request.out)


def to_int4(request: PassRequest) -> dict[str, Any]:
    """Store the weights of large matrix multiplications as int4 in blocks; all else stays float.

    Raises:
        ExportError: ONNX Runtime's quantizer refused the file, or it has no large matrix multiplication.
    """
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    from onnxruntime.quantization.onnx_model import ONNXModel

    block_size = request.options.block_size or _BLOCK_SIZE
    with refusals("ONNX Runtime cannot quantize", request.parent):
        model = ONNXModel(onnx.load(str(request.parent)))
        model.replace_gemm_with_matmul()  # its int4 operator takes the place of MatMul alone, and linear layers are Gemm
        graph = model.model.graph
        names, large, small = onnx_graph.layers(graph), *_by_size(graph, block_size)
        if not large:
            raise _nothing(request, _too_small(graph, small, block_size))
        quantizer = MatMulNBitsQuantizer(
            model.model, bits=4, block_size=block_size, is_symmetric=True, nodes_to_exclude=list(small)
        )
        quantizer.process()
        if onnx_graph.count(graph, "MatMulNBits") != len(large):
            raise _nothing(request, f"its quantizer passed over one of {', '.join(names[node] for node in large)}")
        quantizer.model.topological_sort()
        write(quantizer.model.model, request.out)
    return {"block_size": block_size, "int4": [names[node] for node in large]}


def to_float16(request: PassRequest) -> None:
    """Store weights and compute in float16; inputs and outputs of the file stay float32.

    Raises:
        ExportError: the converter refused the file, or found no weight in it to convert.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    with refusals("ONNX Runtime cannot convert to float16", request.parent):
        converted = OnnxModel(convert_float_to_float16(onnx.load(str(request.parent)), keep_io_types=True))
        converted.topological_sort(is_deterministic=True)  # the converter appends its casts at the end
        if not any(weight.data_type == onnx.TensorProto.FLOAT16 for weight in converted.model.graph.initializer):
            raise _nothing(request, "no weight")
        write(converted.model, request.out)


_Shapes = dict[str, tuple[int, ...]]


def _by_size(graph: Any, block_size: int) -> tuple[_Shapes, _Shapes]:
    """Nodes that multiply by a constant matrix, with its shape: those worth int4, and the others."""
    layers = onnx_graph.layers(graph)
    shapes = {weight.name: tuple(weight.dims) for weight in graph.initializer}
    found: _Shapes = {
        node.name: shapes[node.input[1]] for node in graph.node if node.op_type == "MatMul" and node.name in layers
    }
    large: _Shapes = {
        name: shape
        for name, shape in found.items()
        if len(shape) == 2 and shape[0] >= block_size and shape[0] * shape[1] >= LARGE
    }
    return large, {name: shape for name, shape in found.items() if name not in large}


def _too_small(graph: Any, small: _Shapes, block_size: int) -> str:
    layers, convolutions = onnx_graph.layers(graph), onnx_graph.count(graph, "Conv", "ConvTranspose")
    said = [f"{layers[name]} is {' x '.join(map(str, shape))}" for name, shape in small.items()]
    if convolutions:
        said.append(f"its {convolutions} convolutions stay float")
    wanted = f"{LARGE} weights, {block_size} or more for an output"
    return f"no matrix multiplication is large enough ({wanted}): {', '.join(said) or 'there is none'}"


def _nothing(request: PassRequest, what: str) -> ExportError:
    kind = request.options.name
    return ExportError(
        f"ONNX Runtime found nothing to convert for {kind}: {what}",
        where=str(request.parent),
        to_do=f"leave {kind} out of this target's ladder",
    )
