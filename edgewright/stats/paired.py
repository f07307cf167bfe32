# SPDX-License-Identifier: Apache-2.0
"""Paired differences, artifact minus baseline on the same samples, signed so that positive is better.

Each kind of metric has its own test: paired proportions for top-1, the t-test for a mean of per-sample errors, and a
resampling test for everything else (docs/adr/0003-statistics-of-the-gate.md).
"""

import functools
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.errors import DataError
from edgewright.metrics import Array, Metric
from edgewright.stats import tango


class PairedDifference(ABC):
    """A difference in a metric's own unit, with its test and its bounds."""

    metric: Metric
    n: int
    value: float
    method: str

    @abstractmethod
    def lower(self, alpha: float) -> float:
        """One-sided lower confidence bound at level 1 - alpha."""

    @abstractmethod
    def upper(self, alpha: float) -> float:
        """One-sided upper confidence bound at level 1 - alpha."""

    @abstractmethod
    def p_value(self, margin: float) -> float:
        """One-sided p-value of H0: difference <= -margin."""

    @abstractmethod
    def samples_needed(self, margin: float, alpha: float, power: float) -> int | None:
        """Samples that let an artifact without any drop, as noisy as this one, pass with ``power``; None if none do."""

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Two-sided confidence interval."""
        return self.lower((1 - confidence) / 2), self.upper((1 - confidence) / 2)


@dataclass(frozen=True)
class PairedProportions(PairedDifference):
    """Top-1: how many samples only the artifact gets right (gains) and only the baseline (losses)."""

    metric: Metric
    n: int
    gains: int
    losses: int
    method: str = "Tango's paired score test, continuity corrected"

    @property
    def value(self) -> float:  # type: ignore[override]
        """Difference of the two shares."""
        return (self.gains - self.losses) / self.n

    def lower(self, alpha: float) -> float:
        """See PairedDifference."""
        return tango.lower_bound(self.n, self.gains, self.losses, alpha)

    def upper(self, alpha: float) -> float:
        """See PairedDifference."""
        return -tango.lower_bound(self.n, self.losses, self.gains, alpha)

    def p_value(self, margin: float) -> float:
        """See PairedDifference."""
        return tango.p_value(self.n, self.gains, self.losses, margin)

    def samples_needed(self, margin: float, alpha: float, power: float) -> int | None:
        """See PairedDifference."""
        return tango.samples_needed(self.n, self.gains + self.losses, margin, alpha, power)


@dataclass(frozen=True, eq=False)
class PairedMean(PairedDifference):
    """A metric that is a mean over samples: Student's t on the per-sample differences."""

    metric: Metric
    differences: NDArray[np.float64]
    method: str = "t-test of paired differences"

    @property
    def n(self) -> int:  # type: ignore[override]
        """Number of pairs."""
        return len(self.differences)

    @functools.cached_property
    def value(self) -> float:  # type: ignore[override]
        """Mean difference."""
        return float(np.mean(self.differences))

    @functools.cached_property
    def _error(self) -> float:
        return float(np.std(self.differences, ddof=1) / np.sqrt(self.n))

    def lower(self, alpha: float) -> float:
        """See PairedDifference."""
        from scipy.stats import t

        return self.value - float(t.isf(alpha, self.n - 1)) * self._error

    def upper(self, alpha: float) -> float:
        """See PairedDifference."""
        return 2 * self.value - self.lower(alpha)

    def p_value(self, margin: float) -> float:
        """See PairedDifference."""
        from scipy.stats import ttest_1samp

        if self._error == 0:
            return 0.0 if self.value > -margin else 1.0
        return float(ttest_1samp(self.differences, -margin, alternative="greater").pvalue)

    def samples_needed(self, margin: float, alpha: float, power: float) -> int | None:
        """See PairedDifference."""
        from scipy.stats import nct, t

        if margin <= 0:
            return None
        effect = margin / max(self._error * np.sqrt(self.n), 1e-12 * margin)
        low, high = 1, 2
        while nct.sf(t.isf(alpha, high - 1), high - 1, min(effect * np.sqrt(high), 50.0)) < power:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            enough = nct.sf(t.isf(alpha, middle - 1), middle - 1, min(effect * np.sqrt(middle), 50.0)) >= power
            low, high = (low, middle) if enough else (middle, high)
        return high


def compare(metric: Metric, labels: Array, baseline_outputs: Array, artifact_outputs: Array, seed: int) -> PairedDifference:
    """Compare two sets of outputs on the same samples, in the same order.

    Raises:
        DataError: the numbers of samples differ or are below 2, outputs are not finite, or the metric is undefined on them.
    """
    _check(metric, labels, baseline_outputs, artifact_outputs)
    if metric.name == "top1":
        baseline, artifact = (outputs.argmax(axis=1) == labels for outputs in (baseline_outputs, artifact_outputs))
        return PairedProportions(metric, len(labels), int(np.sum(artifact & ~baseline)), int(np.sum(baseline & ~artifact)))
    if metric.name == "mae":
        return PairedMean(metric, absolute_errors(labels, baseline_outputs) - absolute_errors(labels, artifact_outputs))
    from edgewright.stats.resample import ResampledDifference

    difference = ResampledDifference(metric, labels, baseline_outputs, artifact_outputs, seed)
    if not np.isfinite(difference.value):
        raise DataError(f"{metric.name} is undefined on these {len(labels)} samples", to_do="check that every class occurs")
    return difference


def absolute_errors(labels: Array, outputs: Array) -> NDArray[np.float64]:
    """Absolute error of each sample, averaged over its output values: (N,)."""
    n = len(labels)
    errors: NDArray[np.float64] = np.abs(outputs.reshape(n, -1).astype(float) - labels.reshape(n, -1)).mean(axis=1)
    return errors


def _check(metric: Metric, labels: Array, baseline: Array, artifact: Array) -> None:
    if not len(labels) == len(baseline) == len(artifact) or len(labels) < 2:
        raise DataError(
            f"cannot compare {metric.name}: {len(labels)} labels, {len(baseline)} baseline, {len(artifact)} artifact outputs",
            to_do="give the same samples to both, at least 2",
        )
    for whose, outputs in (("baseline's", baseline), ("artifact's", artifact)):
        if not np.isfinite(outputs.astype(float)).all():
            raise DataError(
                f"the {whose} outputs hold NaN or infinity", to_do="look at the parity findings: the export is broken"
            )
