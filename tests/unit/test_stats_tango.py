# SPDX-License-Identifier: Apache-2.0
"""The paired score test: published values, its level by exact enumeration, its power at the number it asks for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.stats import tango

SIZES = (100, 200, 300, 450, 1000, 2000)
MARGINS = (0.005, 0.01, 0.02, 0.05)
LEVELS = (0.05, 0.025, 0.05 / 3, 0.00625)


@pytest.mark.parametrize(
    ("n", "gains", "losses", "level", "low", "high"),
    [
        (32, 9, 3, 0.025, -0.027, 0.390),  # Tango 1998; also the reference values of the R package ratesci
        (44, 0, 1, 0.05, -0.096, 0.037),  # Tango 1998, cross-over trial of contact lens disinfection
        (21, 1, 7, 0.025, -0.517, -0.026),  # Fagerland, Lydersen and Laake 2014, airway reactivity
    ],
)
def test_without_the_correction_the_published_intervals_come_out(monkeypatch, n, gains, losses, level, low, high):
    monkeypatch.setattr(tango, "CORRECTION", 0.0)
    bound = tango.lower_bound.__wrapped__
    assert bound(n, gains, losses, level) == pytest.approx(low, abs=5e-4)
    assert -bound(n, losses, gains, level) == pytest.approx(high, abs=5e-4)


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("n", SIZES)
def test_at_the_margin_it_never_passes_more_often_than_its_level(n, margin):
    discordances = margin + 2 * np.concatenate([[0], np.geomspace(1e-4, 0.3, 30)])
    for level in LEVELS:
        sizes = [tango.power_of(n, float(seen), margin, level, drop=margin) for seen in discordances]
        assert max(sizes) <= level


def test_without_the_correction_it_would_pass_too_often(monkeypatch):
    monkeypatch.setattr(tango, "CORRECTION", 0.0)
    assert tango.power_of(300, 0.02, 0.02, 0.05, drop=0.02) > 0.058


@pytest.mark.parametrize("discordance", [0.0, 0.01, 0.05, 0.2])
@pytest.mark.parametrize("margin", [0.01, 0.02, 0.05])
def test_the_number_it_asks_for_has_the_power_promised(discordance, margin):
    seen = round(1000 * discordance)
    needed = tango.samples_needed(1000, seen, margin, 0.05, 0.8)
    assert needed is not None
    assert tango.power_of(needed, discordance, margin, 0.05) >= 0.8
    assert tango.power_of(needed // 2, max(discordance, 1e-4), margin, 0.05) < 0.8


def test_power_agrees_with_simulation():
    draws = np.random.default_rng(0).multinomial(400, [0.02, 0.03, 0.95], size=20_000)
    passed = tango.statistic(400, draws[:, 0], draws[:, 1], 0.03) >= 1.6448536
    assert passed.mean() == pytest.approx(tango.power_of(400, 0.05, 0.03, 0.05, drop=0.01), abs=0.01)


def test_no_number_of_samples_shows_a_drop_of_nothing():
    assert tango.samples_needed(1000, 0, 0.0, 0.05, 0.8) is None


def test_a_margin_too_fine_to_enumerate_is_approximated():
    assert tango.samples_needed(1000, 500, 1e-4, 0.05, 0.8) == pytest.approx(0.5 * (2.4865 / 1e-4) ** 2, rel=0.01)


pairs = st.integers(2, 3000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n)))


@settings(max_examples=60, deadline=None)
@given(pairs, st.floats(0.0, 0.3), st.sampled_from(LEVELS))
def test_bound_and_p_value_give_one_answer(counts, margin, level):
    n, gains, losses = counts[0], counts[1], min(counts[2], counts[0] - counts[1])
    lower = tango.lower_bound(n, gains, losses, level)
    assert -1 <= lower <= (gains - losses) / n
    if abs(lower + margin) > 1e-6:
        assert (tango.p_value(n, gains, losses, margin) <= level) == (lower > -margin)


@settings(max_examples=60, deadline=None)
@given(pairs, st.floats(0.0, 0.3))
def test_one_loss_more_is_never_stronger_evidence(counts, margin):
    n, gains, losses = counts[0], counts[1], min(counts[2], counts[0] - counts[1])
    if gains + losses < n:
        assert tango.p_value(n, gains, losses + 1, margin) >= min(tango.p_value(n, gains, losses, margin), 0.5)
