# SPDX-License-Identifier: Apache-2.0
"""Samples: what every source hands over, checked once for what no later step could repair."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.config.data import SplitName
from edgewright.errors import DataError

Array = NDArray[Any]
#: at most this many rows or files are named in a message, then a count
NAMED = 10


@dataclass(frozen=True)
class Samples:
    """Samples and labels as the source holds them, not split and not encoded."""

    x: Array
    """(N, …) numbers."""
    y: Array
    """(N,) labels as text or numbers, or (N, K) numbers."""
    origin: Array
    """(N,) text: 'row 17', 'cats/1.png'."""
    where: str
    """The file, folder or function, for messages."""
    labels: tuple[str, ...] = ()
    """Names of integer labels, when the source brings them."""
    features: tuple[str, ...] = ()
    """Column names, for tables."""


#: What a source holds: splits of its own by name, or everything under 'train'.
Parts = dict[SplitName, Samples]


def checked(samples: Samples) -> Samples:
    """Return the samples when they are numbers, one label a sample, and not empty.

    Raises:
        DataError: empty, lengths differ, samples without an axis, or a dtype that holds no real numbers.
    """
    x, y, where = samples.x, samples.y, samples.where
    if x.dtype.kind not in "buif":
        kind = "Python objects" if x.dtype.kind == "O" else f"{x.dtype.name} values"
        raise DataError(f"the samples are {kind}, not real numbers", where=where, to_do="store them as integers or floats")
    if y.dtype.kind not in "buifUO" or y.ndim not in (1, 2):
        raise DataError(f"the labels are {y.dtype.name} of shape {y.shape}", where=where, to_do="store them as (N,) or (N, K)")
    if len(x) == 0:
        raise DataError("there are no samples", where=where, to_do="check that the source is the one you mean")
    if len(x) != len(y):
        raise DataError(f"there are {len(x)} samples and {len(y)} labels", where=where, to_do="give one label a sample")
    if x.ndim < 2 or 0 in x.shape:
        raise DataError(
            f"the samples have shape {x.shape}: a sample of it holds no axis or no value",
            where=where,
            to_do="store them as (N, features), (N, height, width) or the like",
        )
    return samples


def rows(count: int, prefix: str = "") -> Array:
    """Name rows by their number from 1: 'row 1', or 'x_test row 1' with a prefix."""
    return np.array([f"{prefix} row {number}".strip() for number in range(1, count + 1)])


def named(origins: Array | list[str]) -> str:
    """Join origins for a message: at most ten, then a count of the others."""
    shown = ", ".join(str(origin) for origin in origins[:NAMED])
    return shown + (f" and {len(origins) - NAMED} more" if len(origins) > NAMED else "")
