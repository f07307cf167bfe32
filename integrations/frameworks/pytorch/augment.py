# SPDX-License-Identifier: Apache-2.0
"""Augmentation of training batches. It draws from torch's global generator, whose state every checkpoint keeps."""

import torch
from torch import Tensor
from torch.nn import functional

from edgewright import training
from edgewright.config.model import Augmentation


def check_augmentation(augmentation: Augmentation, sample: tuple[int, ...]) -> None:
    """Make sure that samples of a shape (C, H, W), (C, L) or (F,) can be augmented as asked.

    Raises:
        ConfigError: they are no images (flip), have no axis to move along (shift), or would be moved out of sight.
    """
    training.check_augmentation(augmentation, sample, sample[1:])


def augment(inputs: Tensor, augmentation: Augmentation) -> Tensor:
    """Return a batch (N, …) with each sample flipped, shifted and made noisy by chance, as asked."""
    if augmentation.flip:
        inputs = _flip(inputs)
    if augmentation.shift:
        for axis in range(2, inputs.dim()):
            inputs = _shift(inputs, axis, augmentation.shift)
    if augmentation.noise:
        inputs = inputs + augmentation.noise * torch.randn_like(inputs)
    return inputs


def _flip(inputs: Tensor) -> Tensor:
    """Flip half of the samples, by chance, left to right."""
    flipped = torch.rand(len(inputs)) < _HALF
    return torch.where(flipped.reshape(-1, *[1] * (inputs.dim() - 1)), inputs.flip(-1), inputs)


def _shift(inputs: Tensor, axis: int, most: int) -> Tensor:
    """Move each sample by its own number of steps, up to ``most`` each way, along an axis; what is left empty is zero."""
    length, trailing = inputs.shape[axis], inputs.dim() - 1 - axis
    padded = functional.pad(inputs, [0, 0] * trailing + [most, most])
    starts = torch.randint(0, 2 * most + 1, (len(inputs), 1))
    taken = (starts + torch.arange(length)).reshape(len(inputs), *[1] * (axis - 1), length, *[1] * trailing)
    return padded.gather(axis, taken.expand(inputs.shape))


_HALF = 0.5
