# SPDX-License-Identifier: Apache-2.0
"""What a model consists of, in numbers: parameters, multiply-accumulates, zeros."""

from math import prod
from typing import Any

import numpy as np

from edgewright.integrations.frameworks.keras.engine import tf, weights


def count_parameters(model: Any) -> int:
    """Number of weights, biases and normalization factors; running statistics are none."""
    return sum(prod(variable.shape) for variable in weights(model).values() if variable.trainable)


def count_macs(model: Any, sample: tuple[int, ...]) -> int:
    """Multiply-accumulates of one sample, in convolutions and matrix products."""
    function = tf.function(lambda inputs: model(inputs, training=False))
    graph = function.get_concrete_function(tf.TensorSpec((1, *sample), tf.float32)).graph
    return sum(_macs(operation) for operation in graph.get_operations())


def share_of_zeros(model: Any) -> float:
    """Share of the weights of convolutions and fully connected layers that are exactly zero."""
    found = [kernel.numpy() for kernel in kernels(model)]
    total = sum(kernel.size for kernel in found)
    return sum(int(np.sum(kernel == 0)) for kernel in found) / total if total else 0.0


def kernels(model: Any) -> list[Any]:
    """Weights of convolutions and fully connected layers, as ``tf.Variable``s."""
    return [variable for variable in weights(model).values() if variable.trainable and len(variable.shape) > 1]


def _macs(operation: Any) -> int:
    if operation.type == "Conv2D":  # kernel (H, W, inputs of a group, outputs): each output value takes all but the last
        return _count(operation.outputs[0].shape) * _count(operation.inputs[1].shape[:3])
    if operation.type == "DepthwiseConv2dNative":
        return _count(operation.outputs[0].shape) * _count(operation.inputs[1].shape[:2])
    if operation.type == "MatMul":
        inner = operation.inputs[0].shape[0 if operation.get_attr("transpose_a") else 1]
        return _count(operation.outputs[0].shape) * int(inner)
    return 0


def _count(shape: Any) -> int:
    return prod(int(size) for size in shape)
