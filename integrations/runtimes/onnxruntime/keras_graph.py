# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph in the making, from TensorFlow tensors with channels last to ONNX values with channels first.

One rule for layouts: every tensor of three or more axes stands in the file with its last axis second.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgewright.runtime import Array

_IMAGE = 3  # axes from which on the last one is moved


@dataclass
class Linear:
    """A convolution or matrix product whose weights can still take up what follows it."""

    name: str
    kind: str
    source: str
    weights: Array
    """Output channels lie on the first axis (Conv) or on the last (Gemm)."""
    bias: Array
    attributes: dict[str, Any]
    scale: Array | None = None
    """Quantization step of the weights of each output channel; None for float."""

    def rescale(self, factor: Array, offset: Array) -> None:
        """Multiply the output by ``factor`` and add ``offset``, one value an output channel."""
        self.weights = self.weights * (factor.reshape(-1, *[1] * (self.weights.ndim - 1)) if self.kind == "Conv" else factor)
        self.bias = self.bias * factor + offset
        if self.scale is not None:
            self.scale = np.abs(self.scale * factor)


class Writer:
    """Collects nodes and constants; knows each tensor's ONNX name, and what can still be folded."""

    def __init__(self, constants: dict[str, Any]) -> None:
        self.constants = constants
        self.linears: dict[str, Linear] = {}
        """By ONNX name of the output."""
        self.padded: dict[str, tuple[Any, list[int]]] = {}
        """Tensors that are another one with zeros around it: a convolution pads by itself."""
        self.steps: dict[str, float] = {}
        """Quantization step of the ONNX values that a DequantizeLinear makes."""
        self._names: dict[str, str] = {}
        self._nodes: list[Any] = []
        self._weights: dict[str, Array] = {}
        self._input: Any = None

    def begin(self, inputs: Any) -> None:
        """Declare the model's input."""
        self._input = inputs
        self._names[inputs.name] = "input"

    def add(self, kind: str, sources: list[str], name: str, **attributes: Any) -> str:
        """Add a node and return the ONNX name of its output."""
        import onnx

        output = f"{name}:{kind}:{len(self._nodes)}"
        self._nodes.append(onnx.helper.make_node(kind, sources, [output], name=output, **attributes))
        return output

    def constant(self, values: Array) -> str:
        """Add a constant as it is and return its ONNX name."""
        unique = f"constant{len(self._weights)}"
        self._weights[unique] = values
        return unique

    def let(self, tensor: Any, value: str) -> None:
        """Say which ONNX value a tensor is; a quantization step goes along where it is the same value."""
        self._names[tensor.name] = value

    def get(self, tensor: Any) -> str:
        """Return the ONNX name of a tensor that depends on the input, channels first."""
        if tensor.name not in self._names:
            source, pads = self.padded[tensor.name]
            given = self.constant(np.array(pads, np.int64))
            self._names[tensor.name] = self.add("Pad", [self.get(source), given], tensor.op.name)
        return self._names[tensor.name]

    def operand(self, tensor: Any, rank: int) -> str:
        """Return the ONNX name of one side of an element-wise operation whose result has ``rank`` axes."""
        if tensor.name not in self.constants:
            if len(tensor.shape) != rank:
                raise ValueError(f"layer {tensor.op.name!r} is broadcast over the batch")
            return self.get(tensor)
        return self.constant(first(spread(self.constants[tensor.name], rank)))

    def take_up(self, tensor: Any) -> Linear | None:
        """Return the convolution or matrix product that makes a tensor, if nothing else takes the tensor."""
        linear = self.linears.get(self._names.get(tensor.name, ""))
        return linear if linear is not None and len(tensor.consumers()) == 1 else None

    def graph(self, output: Any) -> Any:
        """Return the whole ONNX graph."""
        import onnx

        for name, linear in self.linears.items():
            self._finish(name, linear)
        self._nodes.append(onnx.helper.make_node("Identity", [self.get(output)], ["output"], name="output"))
        self._join_output()
        floats = onnx.TensorProto.FLOAT
        return onnx.helper.make_graph(
            self._nodes,
            "model",
            [onnx.helper.make_tensor_value_info("input", floats, shape_first(self._input.shape))],
            [onnx.helper.make_tensor_value_info("output", floats, shape_first(output.shape))],
            [onnx.numpy_helper.from_array(np.array(values, order="C"), name) for name, values in self._used().items()],
        )

    def linear(self, linear: Linear) -> str:
        """Add a convolution or matrix product, whose weights are written at the end, and return its output's name."""
        name = self.add(linear.kind, [linear.source], linear.name, **linear.attributes)
        self.linears[name] = linear
        return name

    def _finish(self, name: str, linear: Linear) -> None:
        index = next(index for index, node in enumerate(self._nodes) if name in node.output)
        node, before = self._nodes[index], len(self._nodes)
        weights, bias = self._stored(linear)
        node.input.extend([weights, bias])
        self._nodes[index:index] = [self._nodes.pop() for _ in range(len(self._nodes) - before)][::-1]

    def _stored(self, linear: Linear) -> tuple[str, str]:
        step = self.steps.get(linear.source)
        if linear.scale is None:
            return self.constant(linear.weights.astype(np.float32)), self.constant(linear.bias.astype(np.float32))
        axis = 0 if linear.kind == "Conv" else 1
        steps = linear.scale.reshape(-1, *[1] * (linear.weights.ndim - 1)) if axis == 0 else linear.scale
        integers = np.clip(np.round(linear.weights / steps), -127, 127).astype(np.int8)
        weights = self._dequantized(integers, linear.scale, linear.name, axis)
        if step is None:
            return weights, self.constant(linear.bias.astype(np.float32))
        unit = linear.scale * step
        return weights, self._dequantized(np.round(linear.bias / unit).astype(np.int32), unit, linear.name, 0)

    def _dequantized(self, integers: Array, scale: Array, name: str, axis: int) -> str:
        given = [integers, scale.astype(np.float32), np.zeros(scale.shape, integers.dtype)]
        return self.add("DequantizeLinear", [self.constant(one) for one in given], name, axis=axis)

    def _join_output(self) -> None:
        """Let the node that makes the last value call it 'output' itself, where nothing else takes the value."""
        last = self._nodes[-1].input[0]
        takers = [node for node in self._nodes if last in node.input]
        maker = next((node for node in self._nodes if last in node.output), None)
        if maker is not None and len(takers) == 1:
            self._nodes.pop()
            maker.output[0] = "output"

    def _used(self) -> dict[str, Array]:
        used = {name for node in self._nodes for name in node.input}
        return {name: values for name, values in self._weights.items() if name in used}


def order_first(rank: int) -> list[int]:
    """Axes of a tensor with channels last, in the order they have in the file."""
    return [0, rank - 1, *range(1, rank - 1)] if rank >= _IMAGE else list(range(rank))


def first(values: Array) -> Array:
    """Bring a constant from channels last to the order of the file."""
    return values.transpose(order_first(values.ndim))


def shape_first(shape: Any) -> list[int]:
    """Bring a static shape from channels last to the order of the file."""
    return [int(shape[axis]) for axis in order_first(len(shape))]


def spread(values: Array, rank: int) -> Array:
    """Give a constant so many axes, as broadcasting does."""
    return np.reshape(values, [1] * (rank - np.ndim(values)) + list(np.shape(values)))
