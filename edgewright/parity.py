# SPDX-License-Identifier: Apache-2.0
"""Parity: how far the outputs of an exported file are from the float model's, and in which way.

Each number points at a cause: saturation at clipped ranges, gain at a wrong scale, a permutation at labels in another
order, constant outputs at a dead graph, low correlation at inputs that are not what the model was trained on.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.artifact import TensorSpec
from edgewright.config.data import Task
from edgewright.errors import ExportError
from edgewright.validation import Parity

Array = NDArray[Any]
#: above this many outputs an order of labels is not searched for
MAX_PERMUTED = 64
_NOTHING = 1e-12


def compare_outputs(outputs: Array, float_outputs: Array, task: Task, output: TensorSpec) -> Parity:
    """Compare float32 outputs of a file with the float model's on the same inputs: (N, K) both, or (N,) scores.

    Args:
        outputs: the file's, dequantized.
        float_outputs: the float model's, in its framework.
        task: classification has a top-1 class to agree on.
        output: the file's output, for its quantization step and range.

    Raises:
        ExportError: the two do not have the same shape.
    """
    if outputs.shape != float_outputs.shape:
        raise ExportError(
            f"the file returns outputs of shape {outputs.shape}, the float model {float_outputs.shape}",
            where=f"output {output.name!r}",
            to_do="check that the exported graph is the whole model and has one output",
        )
    got, wanted = _columns(outputs), _columns(float_outputs)
    finite = np.isfinite(got) & np.isfinite(wanted)
    x, y = wanted[finite], got[finite]
    span = float(np.ptp(x)) if x.size else 0.0
    worst = float(np.abs(y - x).max()) if x.size else np.inf
    lsb = _step(output, outputs)
    gain, correlation = _fit(x, y)
    rows = finite.all(axis=1)
    classes = task == "classification" and got.shape[1] > 1
    return Parity(
        n=len(got),
        agreement=_agreement(got[rows], wanted[rows]) if classes else None,
        worst_difference=worst,
        worst_difference_lsb=None if lsb is None else worst / lsb,
        relative_difference=worst / span if span > 0 else (0.0 if worst == 0 else np.inf),
        saturation=_saturation(y, x, output, lsb),
        gain=gain,
        correlation=correlation,
        constant_outputs=_constant(got[rows], wanted[rows], lsb),
        not_finite=int(got.size - np.isfinite(got).sum()),
        permutation=_permutation(got[rows], wanted[rows]) if classes else None,
    )


def _columns(outputs: Array) -> Array:
    return outputs.reshape(len(outputs), -1).astype(np.float64)


def _step(output: TensorSpec, outputs: Array) -> float | None:
    """One quantization step in real units; None for float outputs and for scores computed from a reconstruction."""
    if outputs.ndim == 1 and np.prod(output.shape[1:]) > 1:
        return None
    return output.scale if output.lsb is None else output.lsb


def _agreement(got: Array, wanted: Array) -> float:
    return float(np.mean(got.argmax(axis=1) == wanted.argmax(axis=1))) if len(got) else 0.0


def _saturation(got: Array, wanted: Array, output: TensorSpec, lsb: float | None) -> float:
    """Share of outputs at an end of the range while the float model's lie more than one step beyond that end.

    A quantized output declares its range. Of a float output behind an integer graph only the step is known: an end is
    then the largest (smallest) value seen, provided that it was seen more than once, as clipping makes it.
    """
    if lsb is None or not got.size:
        return 0.0
    if output.scale is not None:
        limits = np.iinfo(output.dtype)
        low, high = ((limit - output.zero_point) * output.scale for limit in (limits.min, limits.max))
    else:
        low, high = float(got.min()), float(got.max())
    bottom, top = got <= low + lsb / 2, got >= high - lsb / 2
    if output.scale is None:
        bottom, top = (end if end.sum() > 1 else np.zeros_like(end) for end in (bottom, top))
    return float(np.mean((bottom & (wanted < low - lsb)) | (top & (wanted > high + lsb))))


def _fit(wanted: Array, got: Array) -> tuple[float | None, float | None]:
    """Slope and correlation of got against wanted, both centred, by least squares."""
    if wanted.size < 2:
        return None, None
    x, y = wanted - wanted.mean(), got - got.mean()
    variance, other = float(x @ x), float(y @ y)
    if variance < _NOTHING:
        return None, None
    gain = float(x @ y) / variance
    return gain, None if other < _NOTHING else float(x @ y) / float(np.sqrt(variance * other))


def _constant(got: Array, wanted: Array, lsb: float | None) -> tuple[int, ...]:
    """Outputs that never move although the float model's move by more than quantization could hide."""
    if len(got) < 2:
        return ()
    # A step as coarse as the whole range is itself the fault, and hides nothing.
    hidden = min(2 * (lsb or 0.0), 0.05 * float(np.ptp(wanted)))
    still, moves = np.ptp(got, axis=0) < _NOTHING, np.ptp(wanted, axis=0) > max(hidden, _NOTHING)
    return tuple(int(column) for column in np.flatnonzero(still & moves))


def _permutation(got: Array, wanted: Array) -> tuple[int, ...] | None:
    """Find the order p for which wanted[:, p] fits got, by the assignment with the largest sum of correlations."""
    from scipy.optimize import linear_sum_assignment

    count = got.shape[1]
    if count > MAX_PERMUTED or len(got) < 2:
        return None
    a, b = (values - values.mean(axis=0) for values in (got, wanted))
    norms = np.outer(np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=0))
    correlations = np.divide(a.T @ b, norms, out=np.zeros((count, count)), where=norms > _NOTHING)
    order = linear_sum_assignment(-correlations)[1]
    under = _agreement(got, wanted[:, order])
    if under < 0.7 or under - _agreement(got, wanted) <= 0.3:
        return None
    return tuple(int(column) for column in order)
