# SPDX-License-Identifier: Apache-2.0
"""Preprocessing, the same on host and device: stored samples in, float32 model input in the asked layout out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.config.data import Preprocessing, SampleLayout
from edgewright.errors import ConfigError

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


def prepare(stored: Array, preprocessing: Preprocessing, layout: str) -> Array:
    """Turn stored samples (N, …) into float32 model input: `(stored * scale - mean) / std`, in ``layout`` (such as 'NHWC').

    Raises:
        ConfigError: preprocessing has no layout yet, or mean and std do not fit the channels.
    """
    if preprocessing.layout is None:
        raise ConfigError(
            "the layout of stored samples is not known", where="data.preprocessing.layout", to_do="name it, such as HWC"
        )
    first = channels_first(stored, preprocessing.layout).astype(np.float32)
    mean, std = (_per_channel(name, getattr(preprocessing, name), first) for name in ("mean", "std"))
    first *= np.float32(preprocessing.scale)  # in place: no array of the batch's size is made on the way
    first -= mean
    first /= std
    return to_layout(first, "N" + _CHANNELS_FIRST[preprocessing.layout], layout)


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


def _per_channel(name: str, values: tuple[float, ...], first: Array) -> Array:
    if len(values) not in (1, first.shape[1]):
        raise ConfigError(
            f"{name} has {len(values)} numbers, the data has {first.shape[1]} channel{'s' if first.shape[1] > 1 else ''}",
            where=f"data.preprocessing.{name}",
            to_do="give one number, or one a channel",
        )
    return np.asarray(values, np.float32).reshape(1, -1, *[1] * (first.ndim - 2))
