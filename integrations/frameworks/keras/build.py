# SPDX-License-Identifier: Apache-2.0
"""From ModelSpec to a live model that is known to fit the data: architecture, options, starting weights, output shape."""

from typing import Any

import numpy as np

from edgewright.architecture import Shape, call_architecture, check_output
from edgewright.config.data import Task
from edgewright.config.model import ModelSpec
from edgewright.errors import ModelError
from edgewright.framework import Array
from edgewright.integrations.frameworks.keras.engine import fresh_names, is_model, tf, trainable
from edgewright.integrations.frameworks.keras.models import ARCHITECTURES
from edgewright.integrations.frameworks.keras.weights import apply_weights, read_weights

_SUMS_TO_ONE = 1e-4


def starting_model(spec: ModelSpec, task: Task, sample: Shape, outputs: int) -> Any:
    """Build the model, give it its starting weights, and make sure that it can do the task.

    Args:
        spec: the model.
        task: what it is for.
        sample: shape of one sample with channels last, no batch.
        outputs: length of the output vector; 0 for anomaly detection.

    Raises:
        ModelError: it does not build, its weights or its output do not fit.
    """
    model = build(spec, sample, outputs)
    if spec.weights_file is not None:
        weights = read_weights(spec.weights_file, model, allow_pickle=spec.allow_pickle)
        apply_weights(model, weights, where=f"model.weights: {spec.weights}")
    output = run_zeros(model, sample)
    check_output(output.shape, spec, task, sample, outputs)
    _check_logits(output, spec, task)
    run_zeros(model, sample, batch=2)
    if spec.training is not None and not trainable(model):
        raise ModelError(
            "the model has no weights that can be trained",
            where=f"model.architecture: {spec.architecture}",
            to_do="leave its layers trainable, or set 'training: null' and 'weights'",
        )
    return model


def build(spec: ModelSpec, sample: Shape, outputs: int) -> Any:
    """Call the architecture with what it takes of ``sample``, ``outputs`` and the options, and create its weights.

    Raises:
        ModelError: there is no such architecture, it does not take an option, it fails, or it returns no model.
    """
    fresh_names()
    model = call_architecture(spec, ARCHITECTURES, sample, outputs)
    if not is_model(model):
        raise ModelError(
            f"the architecture returned {type(model).__name__}, not a tf_keras.Model or keras.Model",
            where=f"model.architecture: {spec.architecture}",
            to_do="return the model itself",
        )
    if not model.built:
        run_zeros(model, sample)
    mark_task(model, outputs)
    return model


def mark_task(model: Any, outputs: int) -> None:
    """Note on a model that it answers with a score or a reconstruction; copies made by toolkits lose the note."""
    model.finds_anomalies = outputs == 0


def finds_anomalies(model: Any) -> bool:
    """Whether the model was built for anomaly detection, so that it answers with a score or a reconstruction."""
    return bool(getattr(model, "finds_anomalies", False))


def run_zeros(model: Any, sample: Shape, batch: int = 1) -> Array:
    """Run samples of zeros through the model in inference mode.

    Raises:
        ModelError: the model does not take them, or returns something else than one float tensor with a row for each.
    """
    try:
        output = model(tf.zeros((batch, *sample)), training=False)
    except (Exception, SystemExit) as error:
        if batch > 1:
            raise _one_at_a_time(f"{type(error).__name__}: {error}") from error
        raise ModelError(
            f"the model does not take a sample of shape {sample}: {type(error).__name__}: {error}",
            where="model.architecture",
            to_do="take another architecture, or correct data.preprocessing.layout (Keras wants channels last)",
        ) from error
    if not tf.is_tensor(output):
        raise ModelError(
            f"the model returns {type(output).__name__}, not one tensor", where="model.architecture", to_do="return one tensor"
        )
    if not output.dtype.is_floating:
        raise ModelError(
            f"the model returns {output.dtype.name}",
            where="model.architecture",
            to_do="return floating point values, such as logits",
        )
    if batch > 1 and len(output) != batch:
        raise _one_at_a_time(f"for {batch} samples it returns the shape {tuple(output.shape)}")
    array: Array = output.numpy()
    return array


def _one_at_a_time(why: str) -> ModelError:
    return ModelError(
        f"the model takes one sample at a time: {why}",
        where="model.architecture",
        to_do="keep the first axis free, which is the batch: use Flatten or Reshape, which leave it alone",
    )


def _check_logits(output: Array, spec: ModelSpec, task: Task) -> None:
    """Models of Keras often end in softmax; trained here, its output would be taken for logits and softened twice."""
    probabilities = output.min() >= 0 and abs(float(np.sum(output)) - 1) < _SUMS_TO_ONE
    if task == "classification" and spec.training is not None and output.size > 1 and probabilities:
        raise ModelError(
            "the model returns probabilities, which sum to 1; training needs logits",
            where=f"model.architecture: {spec.architecture}",
            to_do="remove the softmax at its end: Dense(outputs) without an activation",
        )
