# SPDX-License-Identifier: Apache-2.0
"""TensorFlow's magic wand digits as a source for `data.source: magic_wand:strokes`: 1,000 digits drawn in the air."""

from itertools import pairwise
from typing import Any

import numpy as np
from micro.archives import Archive
from numpy.typing import NDArray

Array = NDArray[Any]
#: points a stroke is resampled to; strokes have 32 to 145
LENGTH = 64

ARCHIVE = Archive(
    file="magic_wand_digits.npz",
    keys={
        "points": ("float32", "(P, 2) all strokes, one after the other: x and y of each point"),
        "offset": ("int64", "(N + 1,) where each begins in points, and the end"),
        "y": ("uint8", "(N,) the digit"),
    },
    origin="TensorFlow's magic wand digits (Pete Warden, Apache-2.0) are published at\n"
    "https://github.com/petewarden/magic_wand_digit_data as strokes in JSON.",
)


def strokes() -> tuple[Array, Array]:
    """Return strokes (1000, 2, 64), float32, and digits (1000,).

    Each stroke is resampled at equal steps of time, centred, and scaled so that its larger side is 2: it lies in -1 … 1.
    """
    stored = ARCHIVE.read()
    ends = stored["offset"]
    drawn = [stored["points"][start:end] for start, end in pairwise(ends)]
    return np.stack([normalized(resampled(stroke, LENGTH)) for stroke in drawn]), stored["y"]


def resampled(stroke: Array, length: int) -> Array:
    """Bring a stroke (T, 2) to (2, length) by linear interpolation over time."""
    at, times = np.linspace(0, len(stroke) - 1, length), np.arange(len(stroke))
    return np.stack([np.interp(at, times, axis) for axis in stroke.T])


def normalized(stroke: Array) -> Array:
    """Centre a stroke (2, L) on the middle of its box, and scale the box's larger side to 2."""
    low, high = stroke.min(1, keepdims=True), stroke.max(1, keepdims=True)
    largest = max(float((high - low).max()), 1e-6)
    centred: Array = stroke - (low + high) / 2
    return (centred * (2 / largest)).astype(np.float32)
