# SPDX-License-Identifier: Apache-2.0
"""Convolution and pooling of N-dimensional maps (N, C, …), as ML programs define them.

Padding is [begin, end] an axis with 'custom'; 'same' gives ceil(size / stride), the odd one at the end ('same_lower': at
the beginning).
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from edgewright.runtime import Array

_Ends = list[tuple[int, int]]


def convolve(
    x: Array,
    weight: Array,
    bias: Any = None,
    strides: Any = None,
    pad_type: str = "valid",
    pad: Any = None,
    dilations: Any = None,
    groups: Any = 1,
) -> Array:
    """Cross-correlate x (N, C, …) with weight (O, C / groups, …)."""
    kernel = weight.shape[2:]
    stride, dilation = (_each(values, len(kernel)) for values in (strides, dilations))
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    padded = np.pad(x.astype(np.float32), [(0, 0), (0, 0), *_ends(x.shape[2:], reach, stride, pad_type, pad)])
    taps, count = weight.astype(np.float32), int(groups)
    if weight.shape[1] == 1 and count == x.shape[1] == weight.shape[0]:
        outputs = _depthwise(padded, taps, reach, stride, dilation)
    else:
        parts = zip(np.split(padded, count, 1), np.split(taps, count), strict=True)
        outputs = np.concatenate([_dense(part, own, reach, stride, dilation) for part, own in parts], 1)
    return outputs if bias is None else outputs + np.asarray(bias).reshape(-1, *[1] * len(kernel))


def max_pool(
    x: Array, kernel_sizes: Any, strides: Any = None, pad_type: str = "valid", pad: Any = None, ceil_mode: Any = False
) -> Array:
    """Take the largest value of each window; padding never is."""
    kernel = _each(kernel_sizes, x.ndim - 2)
    stride = _each(strides, len(kernel))
    ends = _ends(x.shape[2:], kernel, stride, pad_type, pad)
    if ceil_mode:
        ends = _ceiled(x.shape[2:], kernel, stride, ends)
    padded = np.pad(x, [(0, 0), (0, 0), *ends], constant_values=-np.inf)
    largest: Array = np.maximum.reduce(list(_taps(padded, kernel, stride, [1] * len(kernel))))
    return largest


def average_pool(
    x: Array,
    kernel_sizes: Any,
    strides: Any = None,
    pad_type: str = "valid",
    pad: Any = None,
    exclude_padding_from_average: Any = False,
    ceil_mode: Any = False,
) -> Array:
    """Average each window, over its padding too unless that is excluded."""
    if ceil_mode:
        raise ValueError("avg_pool with ceil_mode=True")
    kernel = _each(kernel_sizes, x.ndim - 2)
    stride = _each(strides, len(kernel))
    ends = [(0, 0), (0, 0), *_ends(x.shape[2:], kernel, stride, pad_type, pad)]
    total = sum(_taps(np.pad(x.astype(np.float32), ends), kernel, stride, [1] * len(kernel)))
    if not exclude_padding_from_average:
        return np.asarray(total / np.prod(kernel))
    counted = sum(_taps(np.pad(np.ones_like(x, np.float32), ends), kernel, stride, [1] * len(kernel)))
    return np.asarray(total / counted)


def _dense(x: Array, weight: Array, reach: list[int], stride: list[int], dilation: list[int]) -> Array:
    axes = tuple(range(2, x.ndim))
    windows = np.lib.stride_tricks.sliding_window_view(x, reach, axes)
    steps = (slice(None), slice(None), *(slice(None, None, step) for step in (*stride, *dilation)))
    inner = tuple(range(x.ndim, 2 * x.ndim - 2))
    summed = np.tensordot(windows[steps], weight, axes=((1, *inner), (1, *axes)))
    return np.moveaxis(summed, -1, 1)


def _depthwise(x: Array, weight: Array, reach: list[int], stride: list[int], dilation: list[int]) -> Array:
    factors = weight.reshape(len(weight), -1).T
    shape = (-1, *[1] * (x.ndim - 2))
    taps = _taps(x, reach, stride, dilation)
    return np.asarray(sum(tap * factor.reshape(shape) for tap, factor in zip(taps, factors, strict=True)))


def _taps(x: Array, reach: list[int], stride: list[int], dilation: list[int]) -> Iterator[Array]:
    """The values of x that each place of a window falls on, as the window moves: one map (N, C, …) a place."""
    sizes = [(size - span) // step + 1 for size, span, step in zip(x.shape[2:], reach, stride, strict=True)]
    for place in product(*(range(0, span, step) for span, step in zip(reach, dilation, strict=True))):
        cuts = [
            slice(start, start + (size - 1) * step + 1, step) for start, size, step in zip(place, sizes, stride, strict=True)
        ]
        yield x[(slice(None), slice(None), *cuts)]


def _ends(sizes: tuple[int, ...], reach: list[int] | tuple[int, ...], stride: list[int], pad_type: str, pad: Any) -> _Ends:
    if pad_type == "valid":
        return [(0, 0)] * len(sizes)
    if pad_type == "custom":
        return [(int(begin), int(end)) for begin, end in np.reshape(pad, (-1, 2))]
    ends = []
    for size, span, step in zip(sizes, reach, stride, strict=True):
        total = max((-(-size // step) - 1) * step + span - size, 0)
        ends.append((total // 2, total - total // 2) if pad_type == "same" else (total - total // 2, total // 2))
    return ends


def _ceiled(sizes: tuple[int, ...], kernel: list[int], stride: list[int], ends: _Ends) -> _Ends:
    """Pad on for a last window that is not whole, unless it would lie beyond the values and their padding."""
    longer = []
    for size, span, step, (begin, end) in zip(sizes, kernel, stride, ends, strict=True):
        windows = -(-(size + begin + end - span) // step) + 1
        if (windows - 1) * step >= size + begin:
            windows -= 1
        longer.append((begin, max(end, (windows - 1) * step + span - size - begin)))
    return longer


def _each(values: Any, count: int) -> list[int]:
    return [1] * count if values is None else [int(value) for value in np.ravel(values)]
