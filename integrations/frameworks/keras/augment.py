# SPDX-License-Identifier: Apache-2.0
"""Augmentation of training batches. Each epoch draws from a generator of its own, so that a resumed training repeats it."""

import numpy as np

from edgewright import training
from edgewright.config.model import Augmentation
from edgewright.framework import Array


def check_augmentation(augmentation: Augmentation, sample: tuple[int, ...]) -> None:
    """Make sure that samples of a shape (H, W, C), (L, C) or (F,) can be augmented as asked.

    Raises:
        ConfigError: they are no images (flip), have no axis to move along (shift), or would be moved out of sight.
    """
    training.check_augmentation(augmentation, sample, sample[:-1])


def augment(inputs: Array, augmentation: Augmentation, chance: np.random.Generator) -> Array:
    """Return a batch (N, …, C) with each sample flipped, shifted and made noisy by chance, as asked."""
    if augmentation.flip:
        flipped = chance.random(len(inputs)) < 1 / 2
        inputs = np.where(flipped[:, None, None, None], inputs[:, :, ::-1], inputs)
    if augmentation.shift:
        for axis in range(1, inputs.ndim - 1):
            inputs = _shift(inputs, axis, augmentation.shift, chance)
    if augmentation.noise:
        inputs = inputs + augmentation.noise * chance.standard_normal(inputs.shape, np.float32)
    return inputs


def _shift(inputs: Array, axis: int, most: int, chance: np.random.Generator) -> Array:
    """Move each sample by its own number of steps, up to ``most`` each way, along an axis; what is left empty is zero."""
    length = inputs.shape[axis]
    padded = np.pad(inputs, [(most, most) if at == axis else (0, 0) for at in range(inputs.ndim)])
    taken = chance.integers(0, 2 * most + 1, (len(inputs), 1)) + np.arange(length)
    shape = [1] * inputs.ndim
    shape[0], shape[axis] = len(inputs), length
    moved: Array = np.take_along_axis(padded, taken.reshape(shape), axis)
    return moved
