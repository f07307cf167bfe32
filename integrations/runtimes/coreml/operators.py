# SPDX-License-Identifier: Apache-2.0
"""What each operator of an ML program computes, in numpy: float16 in float32, and rounded once at its end.

Parameters have the names they have in the program. Source: the MIL operator definitions of coremltools
(apple.github.io/coremltools, "MIL Ops").
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgewright.integrations.runtimes.coreml.windows import average_pool, convolve, max_pool
from edgewright.runtime import Array

_LIMITS = {"int8": np.iinfo(np.int8), "uint8": np.iinfo(np.uint8)}
_CASTS = {"fp32": np.float32, "fp16": np.float16, "int32": np.int32, "int16": np.int16, "int8": np.int8, "uint8": np.uint8}


def _quantize(input: Array, scale: Array, output_dtype: str, zero_point: Any = None, axis: Any = None) -> Array:  # noqa: A002
    steps = np.round(input / _along(scale, input, axis))
    if zero_point is not None:
        steps = steps + _along(zero_point, input, axis).astype(np.float32)
    limits = _LIMITS[output_dtype]
    return np.clip(steps, limits.min, limits.max).astype(limits.dtype)


def _dequantize(input: Array, scale: Array, zero_point: Any = None, axis: Any = None) -> Array:  # noqa: A002
    steps = input.astype(np.float32)
    if zero_point is not None:
        steps = steps - _along(zero_point, input, axis).astype(np.float32)
    return steps * _along(scale, input, axis)


def _along(values: Array, tensor: Array, axis: Any) -> Array:
    """Shape scales or zero points, one a channel, so that they lie along the tensor's axis."""
    if np.ndim(values) == 0:
        return np.asarray(values)
    shape = [1] * tensor.ndim
    shape[int(axis)] = -1
    return values.reshape(shape)


def _linear(x: Array, weight: Array, bias: Any = None) -> Array:
    product: Array = x @ weight.T
    return product if bias is None else product + bias


def _matmul(x: Array, y: Array, transpose_x: Any = False, transpose_y: Any = False) -> Array:
    left, right = (np.swapaxes(one, -1, -2) if turned else one for one, turned in ((x, transpose_x), (y, transpose_y)))
    product: Array = left @ right
    return product


def _batch_norm(x: Array, mean: Array, variance: Array, gamma: Any = 1.0, beta: Any = 0.0, epsilon: Any = 1e-5) -> Array:
    def channels(values: Any) -> Array:
        return np.asarray(values, np.float32).reshape(-1, *[1] * (x.ndim - 2))

    return np.asarray((x - channels(mean)) / np.sqrt(channels(variance) + epsilon) * channels(gamma) + channels(beta))


def _layer_norm(x: Array, axes: Array, gamma: Any = 1.0, beta: Any = 0.0, epsilon: Any = 1e-5) -> Array:
    over = _ints(axes)
    centred = x - x.mean(over, keepdims=True)
    normal: Array = centred / np.sqrt(np.square(centred).mean(over, keepdims=True) + epsilon) * gamma + beta
    return normal


def _softmax(x: Array, axis: Any = -1) -> Array:
    raised = np.exp(x - x.max(int(axis), keepdims=True))
    shares: Array = raised / raised.sum(int(axis), keepdims=True)
    return shares


def _gelu(x: Array, mode: str = "EXACT") -> Array:
    from scipy.special import erf

    if mode == "EXACT":
        return np.asarray(x * 0.5 * (1 + erf(x / np.sqrt(2))))
    if mode == "TANH_APPROXIMATION":
        return np.asarray(x * 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))))
    return x * _sigmoid(1.702 * x)


def _sigmoid(x: Array) -> Array:
    from scipy.special import expit

    found: Array = expit(x)
    return found


def _pad(x: Array, pad: Array, mode: str = "constant", constant_val: Any = 0.0) -> Array:
    ends = [(0, 0)] * (x.ndim - len(pad) // 2) + [(int(a), int(b)) for a, b in pad.reshape(-1, 2)]
    if mode == "constant":
        return np.pad(x, ends, constant_values=np.asarray(constant_val))
    return np.pad(x, ends, mode={"reflect": "reflect", "replicate": "edge"}[mode])  # type: ignore[call-overload,no-any-return]


def _slice(x: Array, begin: Array, end: Array, stride: Any = None, **masks: Any) -> Array:
    """Cut along each axis; masks say where begin or end are not looked at, and which axes go."""
    if not masks.keys() <= {"begin_mask", "end_mask", "squeeze_mask"}:
        raise ValueError(f"slice_by_index with {', '.join(masks)}")
    nothing = [False] * x.ndim
    no_begin, no_end, squeezed = (masks.get(f"{name}_mask", nothing) for name in ("begin", "end", "squeeze"))
    strides = [1] * x.ndim if stride is None else _ints(stride)
    cuts: list[int | slice] = []
    for axis in range(x.ndim):
        first = None if no_begin[axis] else int(begin[axis])
        last = None if no_end[axis] else int(end[axis])
        cuts.append(int(begin[axis]) if squeezed[axis] else slice(first, last, strides[axis]))
    return x[tuple(cuts)]


def _split(x: Array, axis: Any, num_splits: Any = None, split_sizes: Any = None) -> tuple[Array, ...]:
    where = int(num_splits) if split_sizes is None else np.cumsum(split_sizes)[:-1]
    return tuple(np.split(x, where, int(axis)))


def _concat(values: Sequence[Array], axis: Any, interleave: Any = False) -> Array:
    if interleave:
        raise ValueError("concat with interleave=True")
    return np.concatenate(values, int(axis))


def _upsample(x: Array, scale_factor_height: Any = 1, scale_factor_width: Any = 1) -> Array:
    times = []
    for factor in (scale_factor_height, scale_factor_width):
        if float(factor) != int(factor):
            raise ValueError(f"upsample_nearest_neighbor by {float(factor)}")
        times.append(int(factor))
    return x.repeat(times[0], -2).repeat(times[1], -1)


def _reduce(reduction: Callable[..., Array]) -> Callable[..., Array]:
    def reduced(x: Array, axes: Any = None, keep_dims: Any = False) -> Array:
        return reduction(x, axis=None if axes is None else _ints(axes), keepdims=bool(keep_dims))

    return reduced


def _binary(function: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    return lambda x, y: function(x, y)


def _unary(function: Callable[[Array], Array]) -> Callable[..., Array]:
    return lambda x: function(x)


def _ints(values: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in np.ravel(values))


OPERATORS: Mapping[str, Callable[..., Any]] = {
    "conv": convolve,
    "max_pool": max_pool,
    "avg_pool": average_pool,
    "linear": _linear,
    "matmul": _matmul,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "quantize": _quantize,
    "dequantize": _dequantize,
    "cast": lambda x, dtype: x.astype(_CASTS[dtype]),
    "identity": _unary(np.asarray),
    "add": _binary(np.add),
    "sub": _binary(np.subtract),
    "mul": _binary(np.multiply),
    "real_div": _binary(np.divide),
    "pow": _binary(np.power),
    "maximum": _binary(np.maximum),
    "minimum": _binary(np.minimum),
    "relu": _unary(lambda x: np.maximum(x, 0)),
    "relu6": _unary(lambda x: np.clip(x, 0, 6)),
    "clip": lambda x, alpha, beta: np.clip(x, alpha, beta),
    "thresholded_relu": lambda x, alpha: np.where(x >= alpha, x, 0),
    "leaky_relu": lambda x, alpha: np.where(x > 0, x, x * alpha),
    "prelu": lambda x, alpha: np.where(x > 0, x, x * alpha.reshape(-1, *[1] * (x.ndim - 2))),
    "elu": lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
    "sigmoid": _unary(_sigmoid),
    "sigmoid_hard": lambda x, alpha=0.2, beta=0.5: np.clip(x * alpha + beta, 0, 1),
    "silu": _unary(lambda x: x * _sigmoid(x)),
    "softplus": _unary(lambda x: np.logaddexp(x, 0)),
    "tanh": _unary(np.tanh),
    "gelu": _gelu,
    "exp": _unary(np.exp),
    "log": lambda x, epsilon=1e-45: np.log(x + epsilon),
    "sqrt": _unary(np.sqrt),
    "rsqrt": lambda x, epsilon=1e-12: 1 / np.sqrt(x + epsilon),
    "inverse": lambda x, epsilon=1e-4: 1 / (x + epsilon),
    "square": _unary(np.square),
    "abs": _unary(np.abs),
    "softmax": _softmax,
    "reduce_mean": _reduce(np.mean),
    "reduce_sum": _reduce(np.sum),
    "reduce_max": _reduce(np.max),
    "reduce_min": _reduce(np.min),
    "reshape": lambda x, shape: x.reshape(_ints(shape)),
    "squeeze": lambda x, axes=None: np.squeeze(x, None if axes is None else _ints(axes)),
    "expand_dims": lambda x, axes: np.expand_dims(x, _ints(axes)),
    "transpose": lambda x, perm: x.transpose(_ints(perm)),
    "concat": _concat,
    "split": _split,
    "pad": _pad,
    "slice_by_index": _slice,
    "upsample_nearest_neighbor": _upsample,
}
"""By the operator's name in a program. What is not here is refused, by name and layer."""
