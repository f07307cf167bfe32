# SPDX-License-Identifier: Apache-2.0
"""Percentiles of latency with bounds from order statistics: no assumption on the shape of the distribution.

A percentile whose bound would lie beyond the largest run seen is absent: nobody has measured it.
"""

import math
from collections.abc import Sequence

import numpy as np

from edgewright.measure import Evidence, Measurement

CONFIDENCE = 0.95
PERCENTILES = {"latency_p50_ms": 0.50, "latency_p95_ms": 0.95, "latency_p99_ms": 0.99}


def runs_needed(quantile: float, confidence: float = CONFIDENCE) -> int:
    """Fewest runs whose largest is an upper bound of the quantile: the smallest n with 1 - quantile^n >= confidence."""
    return math.ceil(math.log(1 - confidence) / math.log(quantile) - 1e-9)


def upper_bound(values: Sequence[float], quantile: float, confidence: float = CONFIDENCE) -> float | None:
    """One-sided upper confidence bound of a quantile; None with fewer than ``runs_needed`` values.

    Source: David and Nagaraja, Order Statistics, 3rd edition, section 7.1: the k-th smallest value is above the quantile
    with probability P(Binomial(n, quantile) <= k - 1).
    """
    from scipy.stats import binom

    rank = int(binom.ppf(confidence, len(values), quantile))
    return float(np.sort(values)[rank]) if rank < len(values) else None


def lower_bound(values: Sequence[float], quantile: float, confidence: float = CONFIDENCE) -> float | None:
    """One-sided lower confidence bound of a quantile; None where the values are too few."""
    mirrored = upper_bound([-value for value in values], 1 - quantile, confidence)
    return None if mirrored is None else -mirrored


def interval(values: Sequence[float], quantile: float, confidence: float = CONFIDENCE) -> tuple[float | None, float | None]:
    """Two-sided confidence interval of a quantile; an end is None where the values are too few for it."""
    each = (1 + confidence) / 2
    return lower_bound(values, quantile, each), upper_bound(values, quantile, each)


def latency_measurements(latencies_ms: Sequence[float], evidence: Evidence) -> dict[str, Measurement]:
    """Percentiles of latency by their budget keys; one whose number of runs is too small is absent.

    ``high`` is the bound the gate holds against the budget; each end is one-sided at 95 %.
    """
    measurements = {}
    for name, quantile in PERCENTILES.items():
        high = upper_bound(latencies_ms, quantile)
        if high is not None:
            measurements[name] = Measurement(
                value=float(np.quantile(latencies_ms, quantile, method="inverted_cdf")),
                unit="ms",
                n=len(latencies_ms),
                low=lower_bound(latencies_ms, quantile),
                high=high,
                confidence=CONFIDENCE,
                evidence=evidence,
                method="order statistics, each bound one-sided at 95 %",
            )
    return measurements
