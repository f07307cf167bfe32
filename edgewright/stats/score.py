# SPDX-License-Identifier: Apache-2.0
"""A task metric as a Measurement: its value with a two-sided 95 % interval."""

import numpy as np

from edgewright.measure import Evidence, Measurement
from edgewright.metrics import Array, Metric
from edgewright.stats.resample import RESAMPLES, resampled

CONFIDENCE = 0.95


def metric_measurement(metric: Metric, labels: Array, outputs: Array, seed: int, evidence: Evidence) -> Measurement:
    """Score outputs (N, …) against labels, with Wilson's interval for top-1 and a resampled one for every other metric."""
    value, n = metric.score(labels, outputs), len(labels)
    if metric.name == "top1":
        from statsmodels.stats.proportion import proportion_confint

        low, high = proportion_confint(round(value * n), n, alpha=1 - CONFIDENCE, method="wilson")
        method = "Wilson's interval"
    else:
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(resampled(metric, labels, [outputs], seed), [tail, 1 - tail])
        method = f"Bayesian bootstrap, {RESAMPLES} resamples"
    return Measurement(
        value=value,
        unit=metric.unit,
        n=n,
        low=float(low),
        high=float(high),
        confidence=CONFIDENCE,
        evidence=evidence,
        method=method,
    )
