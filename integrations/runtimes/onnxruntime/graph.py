# SPDX-License-Identifier: Apache-2.0
"""What file passes need to know of an ONNX graph: its layers by a name that a person finds, and what was quantized."""

from collections.abc import Set
from typing import Any

from edgewright.quantize import Operator

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators whose second input is a weight."""


def layers(graph: Any) -> dict[str, str]:
    """Return node name to layer name, in order: the name its weight has in the model it came from ('3.body.0', not 'Conv_146').

    MatMul of two activations has no weight, and is no layer. Nodes that share a weight carry their own name as well.
    '_Transposed' is what ONNX Runtime's tools append to a weight that they turn around.
    """
    weights = {weight.name for weight in graph.initializer}
    found = [node for node in graph.node if node.op_type in LAYERS and node.input[1] in weights]
    names = [node.input[1].removesuffix("_Transposed").removesuffix(".weight") for node in found]
    return {
        node.name: name if names.count(name) == 1 else f"{name} ({node.name})" for node, name in zip(found, names, strict=True)
    }


def operators(graph: Any) -> list[Operator]:
    """All nodes in order."""
    return [Operator(node.name, tuple(node.input), tuple(node.output)) for node in graph.node]


def shield(graph: Any, nodes: Set[str]) -> None:
    """Keep ONNX Runtime from quantizing float layers behind a DequantizeLinear as it loads the file.

    Its optimizer WeightBiasQuantization does so since 1.21, one scale a tensor (github.com/microsoft/onnxruntime, pull
    request 22969), which undoes the fallback and can ruin the answers. A sum of one input stands between: it copies.
    """
    import onnx

    widened = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    ordered = []
    for node in graph.node:
        if node.name in nodes and node.input[0] in widened:
            ordered.append(onnx.helper.make_node("Sum", [node.input[0]], [f"{node.name}_input"], name=f"{node.name}_shield"))
            node.input[0] = f"{node.name}_input"
        ordered.append(node)
    del graph.node[:]
    graph.node.extend(ordered)


def static_weights(graph: Any) -> int:
    """Count layers whose weight is stored as integers and dequantized (QDQ)."""
    weights = {weight.name for weight in graph.initializer}
    stored = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in weights}
    return sum(node.op_type in LAYERS and node.input[1] in stored for node in graph.node)


def count(graph: Any, *operators: str) -> int:
    """Count nodes of the given operators."""
    return sum(node.op_type in operators for node in graph.node)
