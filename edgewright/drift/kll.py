# SPDX-License-Identifier: Apache-2.0
"""KLL sketches from outside: every byte is checked before DataSketches, which is C++, may see it.

DataSketches believes the offsets of levels inside the bytes; a report that lies about them would make it read elsewhere.
Layout: https://github.com/apache/datasketches-cpp, kll/include/kll_sketch.hpp ("Serialized sketch layout").
"""

import binascii
import struct
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from edgewright.monitor.sketch import K

#: a sketch of devices has the monitor's k or a finer one, up to this; a coarser one would make all others' ranks as coarse
FINEST = 1024
_PREAMBLE = struct.Struct("<BBBBHBB")
_COUNTS = struct.Struct("<QHBB")
_FAMILY, _M = 15, 8
_EMPTY, _SORTED, _SINGLE = 1, 2, 4
#: a sketch of 2^30 values has no more levels; the formula of its capacity is exact below that
_MOST_LEVELS = 30


def open_sketches(held: Sequence[tuple[str, int]]) -> list[Any]:
    """Open sketches that were checked, all of a report together: 2 million of them are to be read in a minute.

    Args:
        held: base64, and how many values it is said to hold.

    Returns:
        datasketches.kll_floats_sketch, in the same order.

    Raises:
        ValueError: one is no KLL sketch of floats, not of so many finite values, too coarse, or contradicts itself.
    """
    from datasketches import kll_floats_sketch

    if not held:
        return []
    layouts = [_layout(_decoded(text), n) for text, n in held]
    _check_values(layouts)
    return [kll_floats_sketch.deserialize(layout.data) for layout in layouts]


class _Layout(NamedTuple):
    """A sketch whose numbers add up; its values have not been looked at."""

    data: bytes
    values: bytes
    """float32: minimum, maximum, then the values level by level (the value alone, where there is one)."""
    begins: tuple[int, ...]
    """Where in the values each level begins."""
    unsorted: int
    """Values of the first level, when it is not in order; else 0."""


def _decoded(text: str) -> bytes:
    try:
        data = binascii.a2b_base64(text)
    except ValueError:  # binascii.Error, and text that is not ASCII
        raise ValueError("no base64") from None
    if len(data) < 12:
        raise ValueError("too short")
    return data


def _layout(data: bytes, n: int) -> _Layout:
    ints, version, family, flags, k, m, _ = _PREAMBLE.unpack_from(data)
    if family != _FAMILY or m != _M or not K <= k <= FINEST or flags & _EMPTY:
        raise ValueError("no KLL sketch of floats, or a coarse one")
    if flags & _SINGLE:
        if (ints, version, len(data), n) != (2, 2, 12, 1):
            raise ValueError("a sketch of one value that is not")
        return _Layout(data, data[8:] * 3, (2,), 0)
    if (ints, version) != (5, 1) or len(data) < 36:
        raise ValueError("unknown version")
    counted, min_k, levels, _ = _COUNTS.unpack_from(data, 8)
    if counted != n or min_k != k or not 1 <= levels <= _MOST_LEVELS:
        raise ValueError(f"it holds {counted} values, {n} were told")
    start = 20 + 4 * levels
    if (len(data) - start) % 4 or len(data) < start + 12:
        raise ValueError("cut short")
    offsets = struct.unpack_from(f"<{levels}I", data, 20)
    ends = (*offsets[1:], offsets[0] + (len(data) - start) // 4 - 2)
    sizes = [end - begin for begin, end in zip(offsets, ends, strict=True)]
    if ends[-1] != _capacity(k, levels) or min(sizes) < 0:
        raise ValueError("its levels contradict its length")
    if sum(size << level for level, size in enumerate(sizes)) != n:
        raise ValueError("the weights of its values do not add up")
    begins = tuple(2 + offset - offsets[0] for offset in offsets)
    return _Layout(data, data[start:], begins, 0 if flags & _SORTED else sizes[0])


@cache
def _capacity(k: int, levels: int) -> int:
    """Values that a sketch has room for: two thirds of the level above in each, at least 8 (kll_helper.hpp)."""
    return sum(max(_M, ((2 * k << depth) // 3**depth + 1) >> 1) for depth in range(levels))


def _check_values(layouts: Sequence[_Layout]) -> None:
    """Finite, within the minimum and maximum that stand before them, and in order in each level that has to be.

    Raises:
        ValueError: one of the sketches is not.
    """
    values = np.frombuffer(b"".join(layout.values for layout in layouts), "<f4")
    sizes = np.array([len(layout.values) // 4 for layout in layouts])
    starts = np.cumsum(sizes) - sizes
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)  # NaN where one is
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ValueError("values that are not finite")
    if (low < values[starts]).any() or (high > values[starts + 1]).any():
        raise ValueError("values beyond its minimum and maximum")
    may_fall = np.zeros(len(values) + 1, bool)
    may_fall[starts] = True
    for start, layout in zip(starts.tolist(), layouts, strict=True):
        may_fall[[start + 1, *(start + begin for begin in layout.begins)]] = True
        may_fall[start + 2 : start + 2 + layout.unsorted] = True
    if (np.less(values[1:], values[:-1]) & ~may_fall[1:-1]).any():
        raise ValueError("values out of order")
