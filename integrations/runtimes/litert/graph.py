# SPDX-License-Identifier: Apache-2.0
"""What file passes need to know of a .tflite graph: its layers by a name that a person finds, and how weights are stored."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.quantize import Operator

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE")
LAYERS = (*CONVOLUTIONS, "FULLY_CONNECTED")
WHOLE_MODEL = "(model)"
"""Short for names that speak of the whole model; no attribute is called so."""
_FURTHER = re.compile(r"(:\d+)?(_dequant|_quantized)?$")  # a number of ours, and what AI Edge Quantizer says of its own tensors
_MODULE = re.compile(r"(?:\w+\.)+_*[^\W_]+_(\w+)")  # 'torch.nn.modules.conv.Conv2d_0': the class's path and the attribute


@dataclass(frozen=True)
class Node:
    """One operator."""

    kind: str
    """As AI Edge Quantizer calls it: 'CONV_2D', …; empty where it has no name for it."""
    operator: Operator
    """Its name is the scope that AI Edge Quantizer's rules are matched with."""
    weight: str
    """Name of the constant that a layer multiplies by; empty for all else."""
    shape: tuple[int, ...]
    """Of that constant."""
    stored: str
    """Its type: 'FLOAT32', 'FLOAT16', 'INT8', 'INT4'."""


def nodes(file: Path) -> list[Node]:
    """Read all operators, in the order they are executed."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as names

    types = {number: name for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
    model: Any = flatbuffer_utils.read_model(str(file))
    graph = model.subgraphs[0]
    tensors = graph.tensors
    widened: dict[int, Any] = {}
    found = []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        if code == schema.BuiltinOperator.DEQUANTIZE:
            widened[operator.outputs[0]] = tensors[operator.inputs[0]]
        kind = str(names.TFL_OP_CODE_TO_NAME[code].value) if code in names.TFL_OP_CODE_TO_NAME else ""
        weight = None
        if kind in LAYERS:
            index = operator.inputs[1]
            weight = widened.get(index, tensors[index])
            if model.buffers[weight.buffer].data is None:
                weight = None
        inputs, outputs = (
            tuple(_name(tensors[index]) for index in ends if index != -1) for ends in (operator.inputs, operator.outputs)
        )
        found.append(
            Node(
                kind,
                Operator(names.get_op_scope(operator, tensors), inputs, outputs),
                "" if weight is None else _name(weight),
                () if weight is None else tuple(int(axis) for axis in weight.shape),
                "" if weight is None else types[weight.type],
            )
        )
    return found


def layers(found: list[Node]) -> dict[str, str]:
    """Return scope to layer name, in order: the module's name in the torch model ('3.body.0'), else the weight's name."""
    weighted = [node for node in found if node.weight]
    names = [module(node.weight) for node in weighted]
    return {
        node.operator.name: name if names.count(name) == 1 else f"{name} ({node.kind} number {number})"
        for number, (node, name) in enumerate(zip(weighted, names, strict=True))
    }


def stored_as(found: list[Node], *types: str) -> list[Node]:
    """Layers whose weight is stored in one of the types."""
    return [node for node in found if node.stored in types]


def layer_of(tensor: str) -> str:
    """Name the layer that a tensor's name speaks of; empty where it speaks of the whole model."""
    named = _FURTHER.sub("", module(tensor))
    top = named.rpartition("/")[2]
    whole = named == WHOLE_MODEL or top.endswith(("Wrapper", "_wrapped", "_")) or top.startswith("serving_default_output")
    return "" if whole else named


def module(tensor: str) -> str:
    """Read a torch module's name out of a tensor's name; a name that is not litert_torch's is returned as it is.

    litert_torch joins the paths of all that was fused with ';;', the layer's own last. A path is class and attribute of
    each module on the way; the first is the model itself, and before it may stand the wrapper that turns the channels.
    """
    path = tensor.split(";;")[-1].partition(";")[0]
    top, *inner = path.split("/")
    if inner and top.endswith("ChannelLastIOWrapper"):
        inner = inner[1:]
    attributes = [_MODULE.fullmatch(part) for part in inner]
    return ".".join(part.group(1) for part in attributes if part) if attributes and all(attributes) else path


def _name(tensor: Any) -> str:
    return str(tensor.name.decode("utf-8"))
