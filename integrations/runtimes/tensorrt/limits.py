# SPDX-License-Identifier: Apache-2.0
"""What TensorRT refuses of an ONNX file, as far as the file shows it: said on the exporting machine, not first on the board.

Source: "Supported ONNX Operators" of onnx-tensorrt for TensorRT 10.15 (docs/operators.md). Limits of single operators
(constants, ranks, attributes) are the parser's to find; so is what an older TensorRT lacks.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.errors import ExportError

NEWEST_OPSET = 20
"""Of TensorRT 10.3, that of JetPack 6.1 and 6.2; 10.15 takes 24."""
_UNSUPPORTED = """
    AffineGrid Bernoulli BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor CenterCropPad Col2Im Compress ConcatFromSequence
    ConvInteger DFT Det DynamicQuantizeLinear ImageDecoder MatMulInteger MaxRoiPool MaxUnpool MelWeightMatrix Multinomial
    NegativeLogLikelihoodLoss Optional OptionalGetElement OptionalHasElement QLinearConv QLinearMatMul RegexFullMatch
    SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength SequenceMap SoftmaxCrossEntropyLoss
    SplitToSequence StringConcat StringNormalizer StringSplit TfIdfVectorizer Unique
"""
_QUANTIZATION = ("QuantizeLinear", "DequantizeLinear")


def check(file: Path) -> None:
    """Make sure that nothing in a whole, valid ONNX file is known to be refused.

    Raises:
        ExportError: something is; an operator is named, with the layer it stands in or behind.
    """
    import onnx

    against = next(_against(onnx.load(str(file), load_external_data=False)), None)
    if against is not None:
        what, to_do = against
        raise ExportError(f"TensorRT does not take the file: {what}", where=str(file), to_do=to_do)


def _against(model: Any) -> Iterator[tuple[str, str]]:
    """Say what stands against the file, and what to do about it."""
    opset = max(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
    if opset > NEWEST_OPSET:
        yield f"it is of opset {opset}, and JetPack's TensorRT reads {NEWEST_OPSET} at most", f"export it for {NEWEST_OPSET}"
    weights = {weight.name: weight for weight in model.graph.initializer}
    free = [one.name for one in model.graph.input if one.name not in weights and not _is_fixed(one)]
    if free:
        yield f"input {free[0]!r} leaves an axis free", "export it with a batch of one"
    if any(weight.external_data for weight in weights.values()):
        yield "its weights lie in a file beside it", "export it with external_data=False"
    layers = _Layers(weights)
    for node in model.graph.node:
        named = f"{node.op_type} ({layers.of(node)})"
        if node.domain not in ("", "ai.onnx"):
            yield f"{named} is no operator of ONNX but one of {node.domain}", "take another recipe, or export it without"
        if node.op_type in _UNSUPPORTED.split():
            yield f"it has no operator {named}", "replace it in the model, or take runtime onnxruntime"
        if node.op_type in _QUANTIZATION and not _is_symmetric(node, weights):
            yield f"{named} is not int8 with zero points of 0", "quantize the float file for this runtime: ptq_w8a8"


class _Layers:
    """Names that a person finds: the weight of the layer that a node is, or the last one before it on its way."""

    def __init__(self, weights: dict[str, Any]) -> None:
        self._weights = weights
        self._behind: dict[str, str] = {}

    def of(self, node: Any) -> str:
        own = next((name for name in node.input if name.endswith("weight") and name in self._weights), None)
        before = next((self._behind[name] for name in node.input if name in self._behind), "")
        layer = own.removesuffix(".weight") if own else before
        self._behind.update(dict.fromkeys(node.output, layer))
        return layer if own else f"after {layer}" if layer else node.name or "the first"


def _is_fixed(value: Any) -> bool:
    return all(axis.HasField("dim_value") for axis in value.type.tensor_type.shape.dim)


def _is_symmetric(node: Any, weights: dict[str, Any]) -> bool:
    """Without a zero point it is a uint8 of 0, unless what is dequantized is a weight of int8 (ONNX, QuantizeLinear)."""
    import onnx

    integer = weights.get(node.input[2] if len(node.input) > 2 and node.input[2] else node.input[0])
    if integer is None or integer.data_type != onnx.TensorProto.INT8:
        return False
    return len(node.input) < 3 or not node.input[2] or not np.any(onnx.numpy_helper.to_array(integer))
