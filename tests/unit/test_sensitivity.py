# SPDX-License-Identifier: Apache-2.0
"""Which layers quantization hurts, and the fewest to keep: on made-up networks whose errors are known."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.errors import ExportError
from edgewright.sensitivity import Closeness, closeness, fewest_kept

harms = st.dictionaries(st.text(min_size=1, max_size=5), st.floats(0, 1), min_size=1, max_size=12)
shares = st.floats(0.01, 0.999)


def network(harm: dict[str, float], base: float = 1.0) -> Callable[[frozenset[str]], Closeness]:
    """Each quantized layer costs its share of the agreement, whatever the others do."""

    def error_of(kept: frozenset[str]) -> Closeness:
        agreement = base * float(np.prod([1 - harm[layer] for layer in sorted(harm) if layer not in kept]))
        return Closeness(agreement, 1 - agreement)

    return error_of


class Counted:
    """Counts how often a network is asked, and for what."""

    def __init__(self, error_of: Callable[[frozenset[str]], Closeness]) -> None:
        self.error_of, self.asked = error_of, []

    def __call__(self, kept: frozenset[str]) -> Closeness:
        self.asked.append(kept)
        return self.error_of(kept)


@given(harms, shares)
def test_what_is_kept_is_enough_and_one_less_is_not(harm: dict[str, float], wanted: float) -> None:
    found = fewest_kept(list(harm), network(harm), wanted)
    assert found.reached.agreement >= wanted
    assert found.reached == network(harm)(frozenset(found.layers))
    for count in range(len(found.layers)):
        assert network(harm)(frozenset(found.layers[:count])).agreement < wanted


@given(harms, shares)
def test_where_layers_do_not_interact_no_smaller_set_is_enough(harm: dict[str, float], wanted: float) -> None:
    found = fewest_kept(list(harm), network(harm), wanted)
    if found.layers:
        spared = sorted(harm, key=lambda layer: -harm[layer])[: len(found.layers) - 1]
        assert network(harm)(frozenset(spared)).agreement < wanted


@given(harms, shares)
def test_the_most_sensitive_come_first(harm: dict[str, float], wanted: float) -> None:
    found = fewest_kept(list(harm), network(harm), wanted)
    ranked = list(found.sensitivity)
    assert list(found.layers) == ranked[: len(found.layers)]
    agreements = [found.sensitivity[layer].agreement for layer in ranked]
    assert agreements == sorted(agreements)


@given(harms, shares)
def test_no_file_is_made_twice_and_few_are_made(harm: dict[str, float], wanted: float) -> None:
    counted = Counted(network(harm))
    found = fewest_kept(list(harm), counted, wanted)
    assert len(set(counted.asked)) == len(counted.asked) <= 2 + len(harm) + len(found.layers)


@given(harms, shares)
def test_the_order_of_the_layers_changes_nothing_but_ties(harm: dict[str, float], wanted: float) -> None:
    one, other = (fewest_kept(layers, network(harm), wanted) for layers in (list(harm), list(reversed(harm))))
    assert len(one.layers) == len(other.layers)


def test_where_plain_quantization_is_close_enough_one_file_is_made() -> None:
    counted = Counted(network({"a": 0.001, "b": 0.002}))
    found = fewest_kept(["a", "b"], counted, 0.99)
    assert (found.layers, found.sensitivity, len(counted.asked)) == ((), {}, 1)


def test_layers_that_only_help_together_are_both_found() -> None:
    """An outlier between two layers: as long as either is quantized, so is what lies between them."""

    def error_of(kept: frozenset[str]) -> Closeness:
        agreement = 0.999 if {"b", "c"} <= kept else 0.4
        return Closeness(agreement - 0.0001 * (4 - len(kept)), 1.0)

    assert set(fewest_kept(["a", "b", "c", "d"], error_of, 0.99).layers) == {"b", "c"}


def test_equal_agreement_is_ranked_by_error() -> None:
    def error_of(kept: frozenset[str]) -> Closeness:
        quantized = {"a", "b", "c"} - kept
        return Closeness(1.0 if len(quantized) < 2 else 0.9, sum({"a": 0.1, "b": 0.4, "c": 0.2}[one] for one in quantized))

    found = fewest_kept(["a", "b", "c"], error_of, 0.95)
    assert list(found.sensitivity) == ["b", "c", "a"]
    assert found.layers == ("b", "c")


@given(harms, st.floats(0.1, 0.9))
def test_a_network_that_no_layer_can_save_is_refused(harm: dict[str, float], best: float) -> None:
    counted = Counted(network(harm, base=best))
    with pytest.raises(ExportError, match="with all") as refused:
        fewest_kept(list(harm), counted, best + 0.05)
    assert f"{best:.4g}" in refused.value.what
    assert len(counted.asked) == 2


def test_closeness_of_classes_is_the_share_of_equal_answers() -> None:
    wanted = np.array([[3.0, 1.0], [0.0, 2.0], [5.0, 1.0], [1.0, 0.0]], np.float32)
    got = wanted.copy()
    got[0] = [1.0, 3.0]
    found = closeness(got, wanted, "classification")
    assert found.agreement == 0.75
    assert found.rmse == pytest.approx(np.sqrt(1.0) / wanted.std())


def test_closeness_of_values_is_what_the_error_leaves() -> None:
    wanted = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    found = closeness(wanted + 0.1 * wanted.std(), wanted, "regression")
    assert found.rmse == pytest.approx(0.1, rel=1e-3)
    assert found.agreement == pytest.approx(0.9, rel=1e-3)
    assert closeness(wanted * 100, wanted, "regression").agreement == 0


def test_answers_that_are_not_numbers_agree_with_nothing() -> None:
    wanted = np.ones((4, 2), np.float32)
    found = closeness(np.full_like(wanted, np.nan), wanted, "classification")
    assert found.agreement == 0
    assert found.facts() == {"agreement": 0.0, "rmse": None}
