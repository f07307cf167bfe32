# SPDX-License-Identifier: Apache-2.0
"""What is to be known of an OpenVINO graph: its layers by a name that a person finds, and what was quantized."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from edgewright.quantize import Operator

CONVOLUTIONS = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData")
_LAYERS = (*CONVOLUTIONS, "MatMul")
_WIDENING = ("Convert", "FakeQuantize", "Multiply", "Reshape", "Subtract", "Transpose")
"""What may stand between a stored weight and its layer."""
MOVES = ("Reshape", "Squeeze", "Transpose", "Unsqueeze")


def layers(model: Any) -> dict[str, Any]:
    """Return layers by name, in the order they are executed; MatMul of two activations has no weight, and is none."""
    return {
        operator.get_friendly_name(): operator
        for operator in model.get_ordered_ops()
        if operator.get_type_name() in _LAYERS and weight(operator) is not None
    }


def weight(layer: Any) -> Any | None:
    """The constant that a layer's weight is stored in; None where it is computed from an input."""
    node = layer.input_value(1).get_node()
    while node.get_type_name() in _WIDENING:
        node = node.input_value(0).get_node()
    return node if node.get_type_name() == "Constant" else None


def stored_as(model: Any, *types: str) -> list[str]:
    """Names of the layers whose weights are stored in one of OpenVINO's element types: 'i8', 'u4', 'f16'."""
    return [name for name, layer in layers(model).items() if weight(layer).get_element_type().get_type_name() in types]  # type: ignore[union-attr]


def operators(model: Any) -> list[Operator]:
    """All operators in order; a tensor has the name of the operator that makes it."""
    return [
        Operator(
            node.get_friendly_name(),
            tuple(value.get_node().get_friendly_name() for value in node.input_values()),
            (node.get_friendly_name(),),
        )
        for node in model.get_ordered_ops()
    ]


def activation_quantizers(model: Any) -> Iterator[Any]:
    """FakeQuantize operators on activations."""
    for node in model.get_ordered_ops():
        if node.get_type_name() == "FakeQuantize" and node.input_value(0).get_node().get_type_name() != "Constant":
            yield node


def limits(quantizer: Any) -> tuple[Any, Any]:
    """Smallest and largest value that a FakeQuantize lets through, as arrays."""
    low, high = (quantizer.input_value(port).get_node() for port in (3, 4))
    return low.data, high.data


def step(node: Any) -> float | None:
    """Quantization step of what a node returns; None where it is no FakeQuantize of the whole tensor."""
    while node.get_type_name() in MOVES:
        node = node.input_value(0).get_node()
    if node.get_type_name() != "FakeQuantize":
        return None
    low, high = limits(node)
    return float((high - low).item() / (node.get_attributes()["levels"] - 1)) if np.size(low) == 1 else None


def name_layers(model: Any, names: Mapping[str, str]) -> None:
    """Give layers the names that their weights have in the model they came from.

    Folding makes a layer and its normalization one operator with a new name; the normalization's own stays with what
    follows. Layers whose name is nowhere are called after their kind.

    Args:
        model: changed.
        names: name of an operator in the framework's graph to that of its layer.
    """
    found = [(layer, _origin(layer, names)) for layer in layers(model).values()]
    times = Counter(name for _, name in found)
    for number, (layer, name) in enumerate(found):
        unique = name and times[name] == 1
        layer.set_friendly_name(name if unique else f"{name or layer.get_type_name()} ({number})")


def tidy(model: Any) -> None:
    """Number all operators but layers, and drop names of tensors: they hold counters, and more bytes than small weights."""
    kept = set(layers(model))
    model.set_friendly_name("model")
    for number, node in enumerate(model.get_ordered_ops()):
        if node.get_friendly_name() not in kept:
            node.set_friendly_name(f"{node.get_type_name()}_{number}")
        for port in node.outputs():
            port.get_tensor().set_names(set())
    for kind, ports in (("input", model.inputs), ("output", model.outputs)):
        for number, port in enumerate(ports):
            port.get_tensor().set_names({kind if len(ports) == 1 else f"{kind}_{number}"})


def _origin(layer: Any, names: Mapping[str, str]) -> str:
    node = layer
    while node is not None:
        first, _, rest = str(node.get_friendly_name()).partition("/")
        if first in names:
            return names[first]
        if rest:
            return rest.rpartition("/")[0] or first  # 'model/dense/MatMul' of Keras
        readers = list(node.output(0).get_target_inputs())
        node = readers[0].get_node() if len(readers) == 1 and node.get_type_name() in (*_LAYERS, "Add", "Multiply") else None
    return ""
