# SPDX-License-Identifier: Apache-2.0
"""The one place that imports TensorFlow, as the rest of this package needs it: on the processor, quiet, with tf_keras.

tf_keras (Keras 2) is the engine, because the TensorFlow Model Optimization toolkit (tfmot) knows no other. A user's
model may be of Keras 3 too, on its TensorFlow backend. Threads are as many as OMP_NUM_THREADS says.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgewright.errors import ModelError

# TensorFlow reads all of this when it is imported.
_THREADS = os.environ.get("OMP_NUM_THREADS", "")
for _name, _value in (
    ("TF_USE_LEGACY_KERAS", "1"),
    ("KERAS_BACKEND", "tensorflow"),
    ("TF_CPP_MIN_LOG_LEVEL", "3"),
    ("CUDA_VISIBLE_DEVICES", ""),
    ("TF_NUM_INTRAOP_THREADS", _THREADS),
    ("TF_NUM_INTEROP_THREADS", _THREADS and "1"),
):
    if _value or _name == "CUDA_VISIBLE_DEVICES":
        os.environ.setdefault(_name, _value)


@contextmanager
def _unheard() -> Iterator[None]:
    """Keep from the user's screen what TensorFlow's libraries print while they load, whatever TF_CPP_MIN_LOG_LEVEL says."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


with _unheard():
    import tensorflow as tf
    import tf_keras as keras


def is_keras3(model: Any) -> bool:
    """Whether a model is one of Keras 3 on its TensorFlow backend.

    Raises:
        ModelError: it is one of Keras 3 on another backend, which TensorFlow cannot train or export.
    """
    import keras as keras3

    if not isinstance(model, keras3.Model) or isinstance(model, keras.Model):
        return False
    if keras3.backend.backend() != "tensorflow":
        raise ModelError(
            f"Keras 3 runs on {keras3.backend.backend()} here",
            where="model.architecture",
            to_do="set KERAS_BACKEND=tensorflow, or build the model with tf_keras",
        )
    return True


def is_model(found: Any) -> bool:
    """Whether this is a Keras model, of either generation."""
    return isinstance(found, keras.Model) or is_keras3(found)


def fresh_names() -> None:
    """Let automatic layer names count from the start, so that a model built twice has the same names of weights."""
    import keras as keras3

    keras.backend.reset_uids()
    keras3.utils.clear_session(free_memory=False)


def variables(model: Any) -> list[Any]:
    """All of a model's state as ``tf.Variable``s: weights, statistics, and the seeds that Keras 3's layers keep."""
    return [_plain(variable) for variable in model.variables]


def trainable(model: Any) -> list[Any]:
    """What an optimizer changes, as ``tf.Variable``s."""
    return [_plain(variable) for variable in model.trainable_variables]


def weights(model: Any) -> dict[str, Any]:
    """Weights and statistics by name, as ``tf.Variable``s."""
    named: dict[str, Any] = {}
    for variable in model.weights:
        name = getattr(variable, "path", None) or variable.name.removesuffix(":0")
        while name in named:  # two layers of a subclassed model may have one name
            name += "_"
        named[name] = _plain(variable)
    return named


def _plain(variable: Any) -> Any:
    return variable if isinstance(variable, tf.Variable) else variable.value


__all__ = ["fresh_names", "is_keras3", "is_model", "keras", "tf", "trainable", "variables", "weights"]
