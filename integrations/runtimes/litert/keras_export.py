# SPDX-License-Identifier: Apache-2.0
"""TFLite files of Keras models, of tf_keras and Keras 3, by TensorFlow's own converter; they have channels last already."""

from pathlib import Path
from typing import Any

from edgewright.runtime import Array, refusals


def is_keras(model: Any) -> bool:
    """Whether this is a Keras model, of either generation."""
    return any(base.__module__.partition(".")[0] in ("tf_keras", "keras") for base in type(model).__mro__)


def export(model: Any, example: Array, out: Path) -> None:
    """Convert with a batch of one, in float.

    Raises:
        ExportError: the converter refused the model.
    """
    with refusals("the TFLite converter refused the model", out, "replace the operator, or take a runtime that has it"):
        out.write_bytes(_converter(model, example).convert())


def export_quantized(model: Any, example: Array, out: Path) -> None:
    """Convert a model in which tfmot simulates quantization: int8 with the scales of its training, inputs and outputs too.

    Raises:
        ExportError: the converter refused the model.
    """
    import tensorflow as tf

    with refusals("the TFLite converter refused the quantized model", out, "replace the operator, or take ptq_w8a8"):
        converter = _converter(model, example)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]  # ranges are in the model: no representative data is asked for
        converter.inference_input_type = converter.inference_output_type = tf.int8
        out.write_bytes(converter.convert())


def _converter(model: Any, example: Array) -> Any:
    """TensorFlow's converter for the model's one function, with the variables it uses and nothing else of the model.

    Given the model itself, it first saves each layer's functions, which takes most of its time. Given no variables it
    writes Keras 3 models that answer NaN: those have to be the ``tf.Variable``s behind Keras's own.
    """
    import tensorflow as tf

    holder = tf.Module()
    holder.variables_used = [one if isinstance(one, tf.Variable) else one.value for one in model.variables]
    spec = tf.TensorSpec(example.shape, tf.float32, name="input")
    function = tf.function(lambda inputs: model(inputs, training=False)).get_concrete_function(spec)
    return tf.lite.TFLiteConverter.from_concrete_functions([function], holder)
