# SPDX-License-Identifier: Apache-2.0
"""ONNX files of Keras models, of tf_keras and Keras 3: TensorFlow's own graph, operator by operator.

The graph is frozen for a batch of one; what depends on no input is computed now. Images and series stand with channels
first in the file, as ONNX wants them, and normalization is folded. A model with simulated quantization becomes QDQ.
"""

from pathlib import Path
from typing import Any

import numpy as np

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.onnxruntime.file import OPSET, write
from edgewright.integrations.runtimes.onnxruntime.keras_graph import Writer
from edgewright.integrations.runtimes.onnxruntime.keras_operators import OPERATORS
from edgewright.runtime import Array, refusals

_SHAPES = ("Shape", "Size")


def is_keras(model: Any) -> bool:
    """Whether this is a Keras model, of either generation."""
    return any(base.__module__.partition(".")[0] in ("tf_keras", "keras") for base in type(model).__mro__)


def export(model: Any, example: Array, out: Path) -> None:
    """Write the model with a batch of one and channels first.

    Raises:
        ExportError: an operator has no counterpart in ONNX here; it is named, with its layer.
    """
    _write(model, example, out)


def export_quantized(model: Any, example: Array, out: Path) -> None:
    """Write a model in which tfmot simulates quantization as QDQ, with the scales of its training: uint8 and int8.

    Raises:
        ExportError: an operator has no counterpart, or a layer is left in float; it is named, with its layer.
    """
    writer = _write(model, example, out)
    for linear in writer.linears.values():
        if linear.scale is None:
            raise ExportError(
                f"layer {linear.name!r} is left in float in a file of integers",
                where=str(out),
                to_do="take ptq_w8a8 for this model",
            )


def _write(model: Any, example: Array, out: Path) -> Writer:
    import onnx

    with refusals("the Keras model cannot be written as ONNX", out, "replace the operator, or take a runtime that has it"):
        graph, inputs, output = _frozen(model, example)
        variable = _depending(output, inputs)
        writer = Writer(_constants(graph, variable, inputs, example))
        writer.begin(inputs)
        for operation in variable:
            if operation.type not in OPERATORS:
                raise ExportError(
                    f"operator {operation.type} of layer {operation.name!r} has no counterpart in ONNX here",
                    where=str(out),
                    to_do="replace the layer, or take a runtime that has it, such as litert",
                )
            OPERATORS[operation.type](operation, writer)
        opsets = [onnx.helper.make_opsetid("", OPSET)]
        write(onnx.helper.make_model(writer.graph(output), opset_imports=opsets, ir_version=_ir_version(onnx)), out)
    return writer


def _ir_version(onnx: Any) -> int:
    found: int = onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", OPSET)])
    return found


def _frozen(model: Any, example: Array) -> tuple[Any, Any, Any]:
    """The model's graph with its variables as constants: graph, input tensor, output tensor."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    traced = tf.function(lambda inputs: model(inputs, training=False))
    function = convert_variables_to_constants_v2(
        traced.get_concrete_function(tf.TensorSpec(example.shape, tf.float32, "input"))
    )
    return function.graph, function.inputs[0], function.outputs[0]


def _depending(output: Any, inputs: Any) -> list[Any]:
    """Operations between input and output in the order they are computed, without those that depend on no input."""
    found: dict[str, bool] = {inputs.op.name: True}
    order: list[Any] = []
    waiting = [(output.op, False)]
    while waiting:
        operation, seen = waiting.pop()
        if operation.name in found:
            continue
        before = [tensor.op for tensor in operation.inputs]
        if not seen:
            waiting += [(operation, True), *((one, False) for one in before)]
            continue
        static = operation.type in _SHAPES and operation.inputs[0].shape.is_fully_defined()
        found[operation.name] = not static and any(found[one.name] for one in before)
        if found[operation.name]:
            order.append(operation)
    return order


def _constants(graph: Any, variable: list[Any], inputs: Any, example: Array) -> dict[str, Any]:
    """Values of all tensors that operations take and that depend on no input, by name."""
    import tensorflow as tf

    made = {operation.name for operation in variable} | {inputs.op.name}
    wanted = {tensor.name: tensor for operation in variable for tensor in operation.inputs if tensor.op.name not in made}
    # what a simulated quantization of weights takes, for the scales
    behind = {one.name: one for tensor in wanted.values() for one in tensor.op.inputs if tensor.op.type.startswith("FakeQuant")}
    with tf.compat.v1.Session(graph=graph) as session:
        values = session.run(wanted | behind, {inputs.name: np.zeros_like(example)})
    return dict(values)
