# SPDX-License-Identifier: Apache-2.0
"""One alpha for all targets and all looks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from edgewright.stats.multiplicity import holm, spend


@pytest.mark.parametrize(("looks", "shares"), [(1, [0.05]), (2, [0.025, 0.025]), (4, [0.025, 0.0125, 0.00625, 0.00625])])
def test_each_look_spends_half_of_what_is_left_and_the_last_all(looks, shares):
    assert [spend(0.05, look, looks) for look in range(1, looks + 1)] == shares
    assert sum(shares) == pytest.approx(0.05)


@pytest.mark.parametrize(("look", "looks"), [(0, 1), (2, 1)])
def test_a_look_that_does_not_exist_is_refused(look, looks):
    with pytest.raises(ValueError, match="does not exist"):
        spend(0.05, look, looks)


def test_holm_steps_down_and_stops():
    answers = holm({"a": 0.001, "b": 0.03, "c": 0.02}, 0.05)
    assert {name: (one.rejected, round(one.level, 5)) for name, one in answers.items()} == {
        "a": (True, 0.01667),
        "c": (True, 0.025),
        "b": (True, 0.05),
    }
    assert not any(one.rejected for one in holm({"a": 0.02, "b": 0.03, "c": 0.04}, 0.05).values())
    assert holm({}, 0.05) == {}


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1)))
def test_a_target_is_rejected_exactly_when_its_p_value_is_at_most_its_level(p_values):
    answers = holm(p_values, 0.05)
    assert len(answers) == len(p_values)
    for name, answer in answers.items():
        assert answer.rejected == (p_values[name] <= answer.level)


def test_holm_decides_as_statsmodels_does(monkeypatch):
    monkeypatch.setattr("gc.collect", int)  # which multipletests calls each time: with the toolkits imported half a second
    generator = np.random.default_rng(0)
    for _ in range(20):
        p_values = dict(enumerate(generator.random(5) ** 4 / 4))
        expected = multipletests(list(p_values.values()), alpha=0.05, method="holm")[0]
        assert [one.rejected for _, one in sorted(holm(p_values, 0.05).items())] == list(expected)
