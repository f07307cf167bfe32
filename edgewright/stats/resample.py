# SPDX-License-Identifier: Apache-2.0
"""Resampling for metrics without a formula: macro-F1, AUC and functions of the user's own.

The Bayesian bootstrap (Rubin 1981): every resample weights the samples with a flat Dirichlet draw. For a difference, one
made-up sample of the rarest class joins, on which the baseline is right and the artifact wrong. Without it a bootstrap that
saw no disagreement claims certainty; with it, a difference of proportions gets the exact Clopper-Pearson limit
(Gaffke 2005; Learned-Miller and Thomas 2019).
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.metrics import Metric
from edgewright.stats.paired import PairedDifference, absolute_errors

RESAMPLES = 2000
_CELLS = 4_000_000  # weights held at once
Floats = NDArray[np.float64]
Array = NDArray[Any]


def resampled(metric: Metric, labels: Array, outputs: Sequence[Array], seed: int) -> Floats:
    """Values of the metric over the same RESAMPLES resamples for each of several outputs: (RESAMPLES, len(outputs))."""
    score, offsets = _WEIGHTED.get(metric.name), np.random.default_rng([seed, 1])

    def values(weights: Floats) -> Floats:
        if score is not None:
            return np.stack([score(labels, one, weights) for one in outputs], axis=1)
        picks = [_systematic(row, offsets.random()) for row in weights]
        return np.array([[metric.score(labels[pick], one[pick]) for one in outputs] for pick in picks])

    return np.concatenate([values(weights) for weights in _weights(len(labels), seed)])


class ResampledDifference(PairedDifference):
    """Difference of a metric that is no mean over samples; bounds are percentiles of the resamples."""

    method = f"paired Bayesian bootstrap, {RESAMPLES} resamples, one made-up loss"

    def __init__(self, metric: Metric, labels: Array, baseline: Array, artifact: Array, seed: int) -> None:
        self.metric, self.n, self._seed = metric, len(labels), seed
        self._labels, self._baseline, self._artifact = labels, baseline, artifact
        self._sign = 1.0 if metric.higher_is_better else -1.0
        self.value = self._sign * (metric.score(labels, artifact) - metric.score(labels, baseline))

    @functools.cached_property
    def _pessimistic(self) -> Floats:
        return self._differences(self._baseline, self._artifact)

    @functools.cached_property
    def _optimistic(self) -> Floats:
        return np.sort(-self._differences(self._artifact, self._baseline))[::-1]

    def _differences(self, reference: Array, other: Array) -> Floats:
        labels, reference, other = _with_loss(self._labels, reference, other)
        scores = resampled(self.metric, labels, (other, reference), self._seed)
        return np.sort(self._sign * (scores[:, 0] - scores[:, 1]))

    def lower(self, alpha: float) -> float:
        """See PairedDifference."""
        return float(self._pessimistic[_rank(alpha)]) if _rank(alpha) >= 0 else -math.inf

    def upper(self, alpha: float) -> float:
        """See PairedDifference."""
        return float(self._optimistic[_rank(alpha)]) if _rank(alpha) >= 0 else math.inf

    def p_value(self, margin: float) -> float:
        """See PairedDifference."""
        return float((np.sum(self._pessimistic <= -margin) + 1) / (RESAMPLES + 1))

    def samples_needed(self, margin: float, alpha: float, power: float) -> int | None:
        """See PairedDifference. The noise shrinks with the root of the number of samples, the made-up loss with the number."""
        from scipy.stats import norm

        if margin <= 0:
            return None
        loss = max(self.value - float(np.mean(self._pessimistic)), 0.0)
        noise = math.sqrt(max(float(np.var(self._pessimistic)) - loss**2, 0.0) * self.n)
        linear = float(norm.isf(alpha) + norm.ppf(power)) * noise
        constant = loss * self.n * math.log(1 / alpha)
        return max(2, math.ceil(((linear + math.sqrt(linear**2 + 4 * margin * constant)) / (2 * margin)) ** 2))


def _rank(alpha: float) -> int:
    """Index of the resample that is the bound: the p-value is at most alpha exactly when the bound is above -margin."""
    return math.floor(alpha * (RESAMPLES + 1) + 1e-9) - 1


def _weights(n: int, seed: int) -> Iterator[Floats]:
    """Dirichlet weights in blocks of rows; each row adds up to 1."""
    generator, left = np.random.default_rng(seed), RESAMPLES
    while left:
        block = generator.standard_exponential((min(left, max(1, _CELLS // n)), n))
        left -= len(block)
        yield block / block.sum(axis=1, keepdims=True)


def _systematic(weights: Floats, offset: float) -> NDArray[np.int64]:
    """Indexes of as many samples as there are weights, each as often as its weight says, rounded up or down (Kitagawa 1996)."""
    places = (np.arange(len(weights)) + offset) / len(weights)
    return np.minimum(np.searchsorted(np.cumsum(weights), places), len(weights) - 1)


def _with_loss(labels: Array, reference: Array, other: Array) -> tuple[Array, Array, Array]:
    """Add a sample of the rarest class that the reference gets right and the other wrong; regression has no worst answer."""
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        return labels, reference, other
    classes, counts = np.unique(labels, return_counts=True)
    rarest = classes[counts.argmin()]
    if reference.ndim == 1 or reference.shape[1] == 1:
        best, worst = (np.max, np.min) if rarest == classes[-1] else (np.min, np.max)
        right, wrong = best(reference, axis=0, keepdims=True), worst(other, axis=0, keepdims=True)
    else:
        of_class = np.flatnonzero(labels == rarest)
        right = reference[[of_class[reference[of_class, rarest].argmax()]]]
        wrong = -right
    return np.append(labels, rarest), np.concatenate([reference, right]), np.concatenate([other, wrong])


def _macro_f1(labels: Array, outputs: Array, weights: Floats) -> Floats:
    answers = outputs.argmax(axis=1)
    classes = np.union1d(labels, answers)
    truth, answer = ((column[:, None] == classes).astype(float) for column in (labels, answers))
    values: Floats = (2 * (weights @ (truth * answer)) / (weights @ (truth + answer))).mean(axis=1)
    return values


def _auc(labels: Array, outputs: Array, weights: Floats) -> Floats:
    from scipy.special import softmax

    if outputs.ndim == 1 or outputs.shape[1] == 1:
        return _binary_auc(labels == 1, outputs.reshape(-1), weights)
    if outputs.shape[1] == 2:
        return _binary_auc(labels == 1, outputs[:, 1].astype(float) - outputs[:, 0], weights)
    shares = softmax(outputs.astype(float), axis=1)
    values: Floats = np.mean([_binary_auc(labels == k, shares[:, k], weights) for k in range(outputs.shape[1])], axis=0)
    return values


def _binary_auc(positive: Array, scores: Array, weights: Floats) -> Floats:
    """Share of positive-negative pairs in the right order, by weight; ties count half (Mann-Whitney)."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) != 0])
    above, below = (np.add.reduceat(weights[:, order] * mask[order], starts, axis=1) for mask in (positive, ~positive))
    ordered = np.sum(above * (np.cumsum(below, axis=1) - below / 2), axis=1)
    values: Floats = ordered / (above.sum(axis=1) * below.sum(axis=1))
    return values


def _mae(labels: Array, outputs: Array, weights: Floats) -> Floats:
    values: Floats = weights @ absolute_errors(labels, outputs)
    return values


_WEIGHTED: dict[str, Callable[[Array, Array, Floats], Floats]] = {"macro_f1": _macro_f1, "auc": _auc, "mae": _mae}
