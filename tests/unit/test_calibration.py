# SPDX-License-Identifier: Apache-2.0
"""Activation ranges by entropy and by percentile: outliers are clipped, what is evenly used is not."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgewright.calibration import Histogram, entropy_range, percentile_range


def histogram(*batches: np.ndarray) -> Histogram:
    seen = Histogram()
    for batch in batches:
        seen.add(batch.astype(np.float32))
    return seen


def test_a_lone_outlier_is_clipped() -> None:
    values = np.random.default_rng(0).normal(size=100_000)
    low, high = entropy_range(histogram(np.append(values, 60.0)))
    assert 2.5 < high < 8
    assert values.min() * 1.001 <= low < -2.5


def test_clipping_is_symmetric_but_never_wider_than_what_was_seen() -> None:
    values = np.random.default_rng(0).normal(size=100_000)
    low, high = entropy_range(histogram(np.append(values, [-60.0, 60.0])))
    assert -low == pytest.approx(high)


def test_evenly_used_values_keep_their_whole_range() -> None:
    low, high = entropy_range(histogram(np.random.default_rng(0).uniform(-3, 3, 200_000)))
    assert low < -2.9
    assert high > 2.9


def test_values_of_one_sign_stay_on_their_side() -> None:
    values = np.maximum(np.random.default_rng(0).normal(size=100_000), 0)
    low, high = entropy_range(histogram(values))
    assert low == 0
    assert 2 < high <= values.max() * 1.0001


def test_the_order_of_samples_hardly_matters() -> None:
    batches = [scale * np.random.default_rng(scale).normal(size=20_000) for scale in (1, 2, 3, 10)]
    up, down = entropy_range(histogram(*batches)), entropy_range(histogram(*reversed(batches)))
    assert up == pytest.approx(down, rel=0.25)


@pytest.mark.parametrize("rule", [entropy_range, percentile_range])
@pytest.mark.parametrize("values", [np.zeros(10), np.full(10, 2.5), np.array([-1.0]), np.array([1e-40, -1e-42], np.float32)])
def test_constants_have_the_range_of_their_one_value(
    values: np.ndarray, rule: Callable[[Histogram], tuple[float, float]]
) -> None:
    assert rule(histogram(values)) == (values.min(), values.max())


def test_a_percentile_leaves_out_one_in_ten_thousand_magnitudes() -> None:
    values = np.random.default_rng(0).normal(size=200_000)
    low, high = percentile_range(histogram(values))
    outside = np.mean((values < low) | (values > high))
    assert 0.00005 < outside <= 0.0001
    assert -low == pytest.approx(high)


def test_a_percentile_drops_a_few_outliers_however_far_out() -> None:
    values = np.random.default_rng(0).normal(size=100_000)
    low, high = percentile_range(histogram(values, np.array([900.0, -1000.0])))
    assert -6 < low < high < 6


def test_a_percentile_of_few_values_is_their_whole_range() -> None:
    values = np.random.default_rng(0).normal(size=1_000)
    assert percentile_range(histogram(values)) == pytest.approx((values.min(), values.max()))


@given(hnp.arrays(np.float32, hnp.array_shapes(max_dims=1, max_side=200), elements=st.floats(-1e6, 1e6, width=32)))
def test_a_range_never_reaches_beyond_what_was_seen(values: np.ndarray) -> None:
    for rule in (entropy_range, percentile_range):
        low, high = rule(histogram(values))
        assert values.min() <= low <= high <= values.max()
