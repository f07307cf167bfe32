# SPDX-License-Identifier: Apache-2.0
"""TensorFlow's operators as ONNX's: one function each, or one line in a table."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgewright.integrations.runtimes.onnxruntime.keras_graph import (
    Linear,
    Writer,
    first,
    order_first,
    shape_first,
    spread,
)
from edgewright.runtime import Array

Operator = Callable[[Any, Writer], None]
_UNARY = {"Relu": "Relu", "Sigmoid": "Sigmoid", "Tanh": "Tanh", "Elu": "Elu", "Selu": "Selu", "Softplus": "Softplus"}
_UNARY |= {"Softsign": "Softsign", "Exp": "Exp", "Abs": "Abs", "Neg": "Neg", "Sqrt": "Sqrt", "Erf": "Erf"}
_BINARY = {"Add": "Add", "AddV2": "Add", "BiasAdd": "Add", "Sub": "Sub", "Mul": "Mul", "RealDiv": "Div"}
_BINARY |= {"Maximum": "Max", "Minimum": "Min"}


def _same(operation: Any, writer: Writer) -> None:
    writer.let(operation.outputs[0], writer.get(operation.inputs[0]))


def _unary(operation: Any, writer: Writer) -> None:
    made = writer.add(_UNARY[operation.type], [writer.get(operation.inputs[0])], operation.name)
    writer.let(operation.outputs[0], made)


def _leaky_relu(operation: Any, writer: Writer) -> None:
    source = writer.get(operation.inputs[0])
    writer.let(
        operation.outputs[0], writer.add("LeakyRelu", [source], operation.name, alpha=float(operation.get_attr("alpha")))
    )


def _relu6(operation: Any, writer: Writer) -> None:
    limits = [writer.constant(np.array(limit, np.float32)) for limit in (0, 6)]
    writer.let(operation.outputs[0], writer.add("Clip", [writer.get(operation.inputs[0]), *limits], operation.name))


def _softmax(operation: Any, writer: Writer) -> None:
    rank = len(operation.outputs[0].shape)
    axis = order_first(rank).index(rank - 1)
    writer.let(operation.outputs[0], writer.add("Softmax", [writer.get(operation.inputs[0])], operation.name, axis=axis))


def _binary(operation: Any, writer: Writer) -> None:
    left, right = operation.inputs[:2]
    if _folded(operation, left, right, writer):
        return
    rank = len(operation.outputs[0].shape)
    sides = [writer.operand(tensor, rank) for tensor in (left, right)]
    writer.let(operation.outputs[0], writer.add(_BINARY[operation.type], sides, operation.name))


def _folded(operation: Any, left: Any, right: Any, writer: Writer) -> bool:
    """Fold a constant for each channel into the weights before it, where that is what the operation does."""
    kind = _BINARY[operation.type]
    if left.name in writer.constants and kind in ("Add", "Mul"):
        left, right = right, left
    linear = writer.take_up(left)
    if linear is None or right.name not in writer.constants or kind not in ("Add", "Sub", "Mul", "Div"):
        return False
    values = writer.constants[right.name]
    channels = int(left.shape[-1])
    if np.size(values) not in (1, channels) or (np.ndim(values) and np.shape(values)[-1] != np.size(values)):
        return False
    each = np.broadcast_to(np.reshape(values, -1), (channels,))
    factor = {"Mul": each, "Div": 1 / each}.get(kind, np.ones(channels)) if kind in ("Mul", "Div") else np.ones(channels)
    offset = {"Add": each, "Sub": -each}.get(kind, np.zeros(channels))
    linear.rescale(factor, offset)
    _same_value(operation, left, writer)
    return True


def _same_value(operation: Any, source: Any, writer: Writer) -> None:
    writer.let(operation.outputs[0], writer.get(source))


def _normalization(operation: Any, writer: Writer) -> None:
    scale, offset, mean, variance = (writer.constants[tensor.name] for tensor in operation.inputs[1:5])
    factor = scale / np.sqrt(variance + operation.get_attr("epsilon"))
    source, shift = operation.inputs[0], offset - mean * factor
    linear = writer.take_up(source)
    if linear is not None:
        linear.rescale(factor, shift)
        _same_value(operation, source, writer)
        return
    rank = len(source.shape)
    each = [writer.constant(first(spread(values.astype(np.float32), rank))) for values in (factor, shift)]
    scaled = writer.add("Mul", [writer.get(source), each[0]], operation.name)
    writer.let(operation.outputs[0], writer.add("Add", [scaled, each[1]], operation.name))


def _convolution(operation: Any, writer: Writer) -> None:
    inputs, kernel = operation.inputs
    weights = writer.constants[kernel.name]
    if operation.type == "DepthwiseConv2dNative":
        height, width, channels, multiple = weights.shape
        weights = weights.transpose(2, 3, 0, 1).reshape(channels * multiple, 1, height, width)
    else:
        weights = weights.transpose(3, 2, 0, 1)
    source, pads = _padding(operation, inputs, writer)
    linear = Linear(
        operation.name,
        "Conv",
        writer.get(source),
        weights,
        np.zeros(len(weights)),
        {
            "strides": _spatial(operation, "strides"),
            "dilations": _spatial(operation, "dilations"),
            "pads": pads,
            "group": int(source.shape[-1]) // weights.shape[1],
        },
        _weight_scale(kernel, len(weights), writer),
    )
    writer.let(operation.outputs[0], writer.linear(linear))


def _padding(operation: Any, inputs: Any, writer: Writer) -> tuple[Any, list[int]]:
    """Return what a convolution reads, and the zeros it adds around it: its own, and those of a padding layer before."""
    kernel = operation.inputs[1].shape[:2]
    own = _same_padding(operation, kernel) if operation.get_attr("padding") == b"SAME" else [0, 0, 0, 0]
    if inputs.name not in writer.padded:
        return inputs, own
    source, pads = writer.padded[inputs.name]
    if pads[0] or pads[1] or pads[4] or pads[5]:
        return inputs, own
    return source, [mine + before for mine, before in zip(own, [*pads[2:4], *pads[6:8]], strict=True)]


def _same_padding(operation: Any, kernel: Any) -> list[int]:
    """TensorFlow's 'SAME': as much as is needed, the odd one at the end (tf.nn, 'Notes on padding')."""
    before, after = [], []
    for axis, length in enumerate(kernel):
        stride, dilation = _spatial(operation, "strides")[axis], _spatial(operation, "dilations")[axis]
        size = int(operation.inputs[0].shape[1 + axis])
        total = max((-(-size // stride) - 1) * stride + (int(length) - 1) * dilation + 1 - size, 0)
        before.append(total // 2)
        after.append(total - total // 2)
    return [*before, *after]


def _spatial(operation: Any, attribute: str) -> list[int]:
    if attribute == "dilations" and operation.type in ("MaxPool", "AvgPool"):
        return [1, 1]
    return [int(one) for one in operation.get_attr(attribute)[1:3]]


def _matrix_product(operation: Any, writer: Writer) -> None:
    inputs, kernel = operation.inputs
    if operation.get_attr("transpose_a") or kernel.name not in writer.constants:
        raise ValueError(f"layer {operation.name!r} multiplies two tensors that depend on the input")
    weights = writer.constants[kernel.name]
    weights = weights.T if operation.get_attr("transpose_b") else weights
    count = weights.shape[1]
    source = writer.get(inputs)
    linear = Linear(operation.name, "Gemm", source, weights, np.zeros(count), {}, _weight_scale(kernel, count, writer))
    writer.let(operation.outputs[0], writer.linear(linear))


def _weight_scale(kernel: Any, channels: int, writer: Writer) -> Array | None:
    """Quantization step of each output channel, where training has simulated one for the weights."""
    if not kernel.op.type.startswith("FakeQuant"):
        return None
    low, high = (writer.constants[tensor.name] for tensor in kernel.op.inputs[1:3])
    return np.broadcast_to(np.reshape((high - low) / _levels(kernel.op), -1), (channels,)).astype(np.float64)


def _levels(operation: Any) -> int:
    return int(2 ** operation.get_attr("num_bits")) - (2 if operation.get_attr("narrow_range") else 1)


def _simulated(operation: Any, writer: Writer) -> None:
    """Write a simulated quantization of activations as uint8, its range nudged so that zero is exact, as TensorFlow does."""
    low, high = (float(writer.constants[tensor.name]) for tensor in operation.inputs[1:3])
    step = (high - low) / _levels(operation)
    zero = int(np.clip(np.round(-low / step), 0, 255))
    pair = [writer.constant(one) for one in (np.array(step, np.float32), np.array(zero, np.uint8))]
    stored = writer.add("QuantizeLinear", [writer.get(operation.inputs[0]), *pair], operation.name)
    made = writer.add("DequantizeLinear", [stored, *pair], operation.name)
    writer.steps[made] = step
    writer.let(operation.outputs[0], made)


def _pad(operation: Any, writer: Writer) -> None:
    inputs, amounts = operation.inputs[:2]
    value = writer.constants[operation.inputs[2].name] if len(operation.inputs) > 2 else 0
    if value != 0:
        raise ValueError(f"layer {operation.name!r} pads with {value}, not with zeros")
    pads = writer.constants[amounts.name][order_first(len(inputs.shape))]
    writer.padded[operation.outputs[0].name] = (inputs, [int(one) for one in (*pads[:, 0], *pads[:, 1])])


def _pool(operation: Any, writer: Writer) -> None:
    kernel = _spatial(operation, "ksize")
    same = operation.get_attr("padding") == b"SAME"
    pads = _same_padding(operation, kernel) if same else [0, 0, 0, 0]
    kind = "MaxPool" if operation.type == "MaxPool" else "AveragePool"
    strides, source = _spatial(operation, "strides"), writer.get(operation.inputs[0])
    made = writer.add(kind, [source], operation.name, kernel_shape=kernel, strides=strides, pads=pads)
    writer.let(operation.outputs[0], made)


def _reduce(operation: Any, writer: Writer) -> None:
    inputs = operation.inputs[0]
    rank = len(inputs.shape)
    axes = sorted(int(axis) % rank for axis in np.reshape(writer.constants[operation.inputs[1].name], -1))
    source, mapped = writer.get(inputs), sorted(order_first(rank).index(axis) for axis in axes)
    if mapped == [2, 3] and rank == 4:
        kind = "GlobalAveragePool" if operation.type == "Mean" else "GlobalMaxPool"
        made = writer.add(kind, [source], operation.name)
    else:
        given = writer.constant(np.array(mapped, np.int64))
        kind = "ReduceMean" if operation.type == "Mean" else "ReduceMax"
        made = writer.add(kind, [source, given], operation.name, keepdims=1)
    kept = [1 if axis in axes else int(size) for axis, size in enumerate(inputs.shape)]
    writer.let(operation.outputs[0], _reshaped(made, kept, operation.outputs[0].shape, operation.name, writer))


def _reshape(operation: Any, writer: Writer) -> None:
    inputs, output = operation.inputs[0], operation.outputs[0]
    writer.let(output, _reshaped(writer.get(inputs), list(inputs.shape), output.shape, operation.name, writer))


def _reshaped(value: str, before: list[Any], after: Any, name: str, writer: Writer) -> str:
    """Reshape a tensor with channels last, given in the order of the file; axes are moved only where values must be."""
    old, new = [int(size) for size in before], [int(size) for size in after]
    if shape_first(old) == shape_first(new):
        return value
    if [size for size in old if size > 1] != [size for size in new if size > 1] or _moving(old) != _moving(new):
        value = _moved(value, old, order_first(len(old)), name, writer, back=True)
        value = writer.add("Reshape", [value, writer.constant(np.array(new, np.int64))], name)
        return _moved(value, new, order_first(len(new)), name, writer, back=False)
    return writer.add("Reshape", [value, writer.constant(np.array(shape_first(new), np.int64))], name)


def _moving(shape: list[int]) -> list[int]:
    """Order in the file of the axes that hold more than one value, counted among themselves."""
    real = [axis for axis in range(len(shape)) if shape[axis] > 1]
    return [real.index(axis) for axis in order_first(len(shape)) if axis in real]


def _moved(value: str, shape: list[int], order: list[int], name: str, writer: Writer, *, back: bool) -> str:
    """Bring a value from the order of the file to channels last (back), or the other way; for free where it is the same."""
    target = shape if back else [shape[axis] for axis in order]
    if order == list(range(len(shape))):
        return value
    moving = _moving(shape)
    if moving == sorted(moving):
        return writer.add("Reshape", [value, writer.constant(np.array(target, np.int64))], name)
    return writer.add("Transpose", [value], name, perm=[int(axis) for axis in np.argsort(order)] if back else order)


def _concatenate(operation: Any, writer: Writer) -> None:
    *parts, axis = operation.inputs
    rank = len(operation.outputs[0].shape)
    mapped = order_first(rank).index(int(writer.constants[axis.name]) % rank)
    given = [writer.operand(part, rank) for part in parts]
    writer.let(operation.outputs[0], writer.add("Concat", given, operation.name, axis=mapped))


OPERATORS: dict[str, Operator] = {
    **dict.fromkeys(("Identity", "StopGradient", "PreventGradient"), _same),
    **dict.fromkeys(_UNARY, _unary),
    **dict.fromkeys(_BINARY, _binary),
    **dict.fromkeys(("Conv2D", "DepthwiseConv2dNative"), _convolution),
    **dict.fromkeys(("MaxPool", "AvgPool"), _pool),
    **dict.fromkeys(("Mean", "Max"), _reduce),
    **dict.fromkeys(("Reshape", "Squeeze", "ExpandDims"), _reshape),
    **dict.fromkeys(("Pad", "PadV2"), _pad),
    "ConcatV2": _concatenate,
    "FakeQuantWithMinMaxVars": _simulated,
    "FusedBatchNormV3": _normalization,
    "LeakyRelu": _leaky_relu,
    "MatMul": _matrix_product,
    "Relu6": _relu6,
    "Softmax": _softmax,
}
"""TensorFlow's name of an operator to what writes it."""
