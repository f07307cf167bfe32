# SPDX-License-Identifier: Apache-2.0
"""Compressed weights of ML programs, widened: scaled integers, palettes, sparse values.

Source: the constexpr operators of iOS 16 and iOS 18 in coremltools' MIL definitions. Core ML widens them when it loads
or runs a program; here they are widened once, when it is loaded.
"""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from edgewright.integrations.runtimes.coreml.values import unpack
from edgewright.runtime import Array


def _affine(quantized_data: Array, zero_point: Array, scale: Array, axis: Any) -> Array:
    def along(values: Array) -> Array:
        wide = np.asarray(values, np.float32)
        shape = [1] * quantized_data.ndim
        shape[int(axis)] = -1
        return wide.reshape(shape) if wide.ndim else wide

    return (quantized_data.astype(np.float32) - along(zero_point)) * along(scale)


def _shift_scale(data: Array, scale: Array, offset: Any = None) -> Array:
    def each(values: Array) -> Array:
        """A scale a block along each axis, repeated for all that is in the block."""
        wide = np.asarray(values, np.float32)
        for axis, (size, count) in enumerate(zip(data.shape, values.shape, strict=True)):
            wide = wide.repeat(size // count, axis)
        return wide

    shifted = data.astype(np.float32) if offset is None else data.astype(np.float32) - each(offset)
    return shifted * each(scale)


def _lookup(indices: Array, lut: Array, shape: Any = None, axis: Any = None) -> Array:
    """Of iOS 16: one palette, indices packed in bytes. Of iOS 18: a palette a block along each axis, indices as they are."""
    if shape is not None:
        count = prod(int(size) for size in shape)
        found: Array = lut[unpack(indices, int(np.log2(len(lut))), count)].reshape(tuple(int(size) for size in shape))
        return found
    if axis is not None or lut.shape[-1] != 1:
        raise ValueError("a palette of vectors")
    blocks = [
        (np.arange(size) // (size // count)).reshape([-1 if at == place else 1 for at in range(indices.ndim)])
        for place, (size, count) in enumerate(zip(indices.shape, lut.shape, strict=False))
    ]
    widened: Array = lut[(*blocks, indices, 0)]
    return widened


def _sparse(nonzero_data: Array, mask: Array, shape: Any = None) -> Any:
    sizes = mask.shape if shape is None else tuple(int(size) for size in shape)
    kept = mask.ravel() if shape is None else unpack(mask, 1, prod(sizes))
    dense = np.zeros(len(kept), nonzero_data.dtype)
    dense[kept.astype(bool)] = nonzero_data
    return dense.reshape(sizes)


def _cast(source_val: Array, output_dtype: str) -> Array:  # noqa: ARG001 - the program's own declaration says it too
    return source_val


WEIGHTS: Mapping[str, Callable[..., Any]] = {
    "constexpr_affine_dequantize": _affine,
    "constexpr_blockwise_shift_scale": _shift_scale,
    "constexpr_lut_to_dense": _lookup,
    "constexpr_sparse_to_dense": _sparse,
    "constexpr_cast": _cast,
}
"""By the operator's name in a program."""
