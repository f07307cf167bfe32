# SPDX-License-Identifier: Apache-2.0
"""What a release needs to know of a float file beside its inputs and outputs: how many weights, and that they are float."""

from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

_QUANTIZED = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "MatMulNBits"}
"""ONNX operators that only a quantized file has."""


@dataclass(frozen=True)
class Contents:
    """What a file holds."""

    parameters: int
    """Values of its constants of floating point."""
    quantized: str
    """What shows that it is quantized already; empty where it is not."""


def of_onnx(file: Path) -> Contents:
    """Read an ONNX file; weights beside it are counted too."""
    import onnx

    graph = onnx.load(str(file), load_external_data=False).graph
    kinds = Counter(node.op_type for node in graph.node if node.op_type in _QUANTIZED or node.op_type.startswith("QLinear"))
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
    constants = [weight for weight in graph.initializer if weight.data_type in floats]
    return Contents(sum(prod(weight.dims) for weight in constants), ", ".join(f"{n} x {kind}" for kind, n in kinds.items()))


def of_tflite(file: Path) -> Contents:
    """Read a .tflite file. Integer constants of one axis are shapes and axes; weights have more."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model: Any = flatbuffer_utils.read_model(str(file))
    constants = [one for graph in model.subgraphs for one in graph.tensors if model.buffers[one.buffer].data is not None]
    floats = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16)
    narrow = [one.name.decode() for one in constants if one.type in (schema.TensorType.INT8, schema.TensorType.INT4)]
    counted = sum(prod(one.shape) for one in constants if one.type in floats)
    return Contents(counted, f"{len(narrow)} constants of integers, such as {narrow[0]!r}" if narrow else "")
