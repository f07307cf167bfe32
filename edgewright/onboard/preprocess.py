# SPDX-License-Identifier: Apache-2.0
"""Preprocessing, the same on host and device: stored samples in, float32 model input in the asked layout out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewright.errors import ConfigError
from edgewright.onboard.front_end import features

if TYPE_CHECKING:
    from edgewright.config.data import Preprocessing, SampleLayout

Array = NDArray[Any]
#: layout of a stored sample -> axes it becomes once channels are first
_CHANNELS_FIRST: dict[SampleLayout, str] = {
    "HW": "CHW",
    "HWC": "CHW",
    "CHW": "CHW",
    "L": "CL",
    "LC": "CL",
    "CL": "CL",
    "F": "F",
}
#: axes of what a front end makes: one channel, frames down, bands across
_FRONT_END = "CHW"


def prepare(stored: Array, preprocessing: Preprocessing, layout: str) -> Array:
    """Turn stored samples (N, …) into float32 model input: `(stored * scale - mean) / std`, in ``layout`` (such as 'NHWC').

    With a front end: `(front_end(stored * scale) - mean) / std`, an image of one channel.

    Raises:
        ConfigError: preprocessing has no layout yet, mean and std do not fit the channels, or the front end the samples.
    """
    have = _layout(preprocessing)
    axes, varying = _CHANNELS_FIRST[have], 1
    first = channels_first(stored, have).astype(np.float32)
    first *= np.float32(preprocessing.scale)  # in place: no array of the batch's size is made on the way
    if preprocessing.front_end is not None:
        first = features(first[:, 0], preprocessing.front_end)[:, None]
        axes, varying = _FRONT_END, 3
    mean, std = (_along(varying, name, getattr(preprocessing, name), first) for name in ("mean", "std"))
    first -= mean
    first /= std
    return to_layout(first, "N" + axes, layout)


def sample_rank(stored: Array, preprocessing: Preprocessing) -> int:
    """Axes of one preprocessed sample, no batch: 3 for an image, 2 for a series, 1 for features.

    Raises:
        ConfigError: preprocessing has no layout yet.
    """
    have = _layout(preprocessing)
    return len(_FRONT_END) if preprocessing.front_end is not None else channels_first(stored[:1], have).ndim - 1


def _layout(preprocessing: Preprocessing) -> SampleLayout:
    if preprocessing.layout is None:
        raise ConfigError(
            "the layout of stored samples is not known", where="data.preprocessing.layout", to_do="name it, such as HWC"
        )
    return preprocessing.layout


def channels_first(stored: Array, layout: SampleLayout) -> Array:
    """Bring stored samples (N, …) to N + CHW, CL or F, adding the channel axis that HW and L leave out."""
    if layout in ("HW", "L"):
        return stored[:, None]
    if layout in ("HWC", "LC"):
        return np.moveaxis(stored, -1, 1)
    return stored


def to_layout(inputs: Array, have: str, want: str) -> Array:
    """Reorder axes by name, from one layout ('NCHW') to another ('NHWC').

    Raises:
        ConfigError: the two layouts do not hold the same axes.
    """
    if have == want:
        return inputs
    if sorted(have) != sorted(want):
        raise ConfigError(f"cannot bring layout {have} to {want}", to_do="check data.preprocessing.layout")
    return np.ascontiguousarray(inputs.transpose([have.index(axis) for axis in want]))


def guess_layout(sample: tuple[int, ...]) -> SampleLayout | None:
    """Guess the axes of one stored sample from its shape; None when that is not clear."""
    if len(sample) == 1:
        return "F"
    if len(sample) == 2:
        return "HW"
    if len(sample) == 3 and sample[-1] in (1, 3, 4):
        return "HWC"
    if len(sample) == 3 and sample[0] in (1, 3, 4):
        return "CHW"
    return None


def _along(axis: int, name: str, values: tuple[float, ...], first: Array) -> Array:
    what, count = ("channel" if axis == 1 else "band"), first.shape[axis]
    if len(values) not in (1, count):
        raise ConfigError(
            f"{name} has {len(values)} numbers, the data has {count} {what}{'s' if count > 1 else ''}",
            where=f"data.preprocessing.{name}",
            to_do=f"give one number, or one a {what}",
        )
    return np.asarray(values, np.float32).reshape([-1 if at == axis else 1 for at in range(first.ndim)])
