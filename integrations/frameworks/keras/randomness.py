# SPDX-License-Identifier: Apache-2.0
"""Seeds of a training. Each epoch has its own, so that a training which goes on after a crash draws the same numbers."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from edgewright.integrations.frameworks.keras.engine import tf

_EPOCHS = 1_000_003  # a prime beyond any number of epochs: seeds of two trainings do not meet


@contextmanager
def seeded(seed: int, *, deterministic: bool) -> Iterator[None]:
    """Seed TensorFlow, numpy and Python, allow only deterministic kernels if asked, and give the latter two back."""
    from tensorflow.python.framework import config  # the public half can only switch it on

    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    strict = config.is_op_determinism_enabled()
    try:
        if deterministic and not strict:
            config.enable_op_determinism()
        seed_epoch(seed, 0)
        yield
    finally:
        if deterministic and not strict:
            config.disable_op_determinism()
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


def seed_epoch(seed: int, epoch: int) -> None:
    """Seed everything a model may draw from; TensorFlow's own operations start over, inside compiled functions too."""
    drawn = (seed * _EPOCHS + epoch) % 2**31
    tf.random.set_seed(drawn)
    np.random.seed(drawn)  # noqa: NPY002 - a user's model may draw from the global generator
    random.seed(drawn)


def generator(seed: int, epoch: int) -> np.random.Generator:
    """What draws the order of an epoch's samples, and their augmentation."""
    return np.random.default_rng([seed, epoch])
