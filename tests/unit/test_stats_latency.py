# SPDX-License-Identifier: Apache-2.0
"""Percentiles, their bounds and ratios of medians."""

import numpy as np
import pytest

from edgewright.stats.quantile import interval, latency_measurements, lower_bound, runs_needed, upper_bound
from edgewright.stats.ratio import median_ratio


@pytest.mark.parametrize(("quantile", "runs"), [(0.5, 5), (0.95, 59), (0.99, 299)])
def test_a_percentile_needs_so_many_runs(quantile, runs):
    assert runs_needed(quantile) == runs
    assert upper_bound(range(runs), quantile) == runs - 1
    assert upper_bound(range(runs - 1), quantile) is None


def test_percentiles_whose_runs_are_too_few_are_absent():
    assert set(latency_measurements(np.arange(4.0), "measured")) == set()
    assert set(latency_measurements(np.arange(58.0), "measured")) == {"latency_p50_ms"}
    assert set(latency_measurements(np.arange(298.0), "measured")) == {"latency_p50_ms", "latency_p95_ms"}
    assert set(latency_measurements(np.arange(299.0), "measured")) == {"latency_p50_ms", "latency_p95_ms", "latency_p99_ms"}


@pytest.mark.parametrize(("n", "quantile"), [(59, 0.5), (100, 0.95), (300, 0.95), (300, 0.99)])
def test_each_bound_holds_as_often_as_it_says(n, quantile):
    """Any continuous distribution will do; the uniform one has its quantile at ``quantile``."""
    samples = np.random.default_rng(0).random((4000, n))
    upper = np.array([upper_bound(row, quantile) for row in samples[:1500]])
    assert np.mean(upper >= quantile) >= 0.94
    lower = np.array([lower_bound(row, quantile) for row in samples[:1500]])
    assert np.mean(lower <= quantile) >= 0.94


def test_ends_and_value_stand_in_order():
    latencies = np.random.default_rng(1).lognormal(size=400)
    for measurement in latency_measurements(latencies, "emulated").values():
        assert measurement.low <= measurement.value <= measurement.high
        assert (measurement.n, measurement.confidence, measurement.evidence) == (400, 0.95, "emulated")
    low, high = interval(latencies, 0.5)
    assert low <= lower_bound(latencies, 0.5)
    assert high >= upper_bound(latencies, 0.5)


def test_a_ratio_of_medians_covers_the_truth_and_repeats():
    generator = np.random.default_rng(2)
    slow, fast = 2 * generator.lognormal(sigma=0.2, size=300), generator.lognormal(sigma=0.2, size=200)
    ratio = median_ratio(slow, fast, 0, "measured")
    assert ratio.low < 2 < ratio.high
    assert (ratio.unit, ratio.n) == ("ratio", 200)
    assert ratio == median_ratio(slow, fast, 0, "measured")


def test_constant_latencies_have_a_ratio_without_width():
    ratio = median_ratio([1.0] * 20, [2.0] * 20, 0, "measured")
    assert (ratio.low, ratio.value, ratio.high) == (0.5, 0.5, 0.5)
