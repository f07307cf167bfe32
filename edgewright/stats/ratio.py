# SPDX-License-Identifier: Apache-2.0
"""Ratio of two medians, such as the artifact's latency over its float parent's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.measure import Evidence, Measurement
from edgewright.stats.resample import RESAMPLES

CONFIDENCE = 0.95
Array = NDArray[Any]


def median_ratio(numerator_ms: Sequence[float], denominator_ms: Sequence[float], seed: int, evidence: Evidence) -> Measurement:
    """Median of the numerator over median of the denominator, with a two-sided 95 % percentile bootstrap interval.

    The two are resampled independently: runs taken in turn share a machine, not a pair. ``n`` is the smaller number of runs.
    """
    from scipy.stats import bootstrap

    def ratio(numerator: Array, denominator: Array, axis: int = -1) -> Array:
        quotient: Array = np.median(numerator, axis=axis) / np.median(denominator, axis=axis)
        return quotient

    result = bootstrap(
        (numerator_ms, denominator_ms),
        ratio,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return Measurement(
        value=float(np.median(numerator_ms) / np.median(denominator_ms)),
        unit="ratio",
        n=min(len(numerator_ms), len(denominator_ms)),
        low=float(result.confidence_interval.low),
        high=float(result.confidence_interval.high),
        confidence=CONFIDENCE,
        evidence=evidence,
        method=f"ratio of medians, percentile bootstrap, {RESAMPLES} resamples",
    )
