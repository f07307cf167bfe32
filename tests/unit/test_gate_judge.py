# SPDX-License-Identifier: Apache-2.0
"""The judgement on test data: its three answers, and by simulation what it promises about false and missed passes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from edgewright.config import Budget, GateConfig, Target
from edgewright.gate.judge import Look, judge
from edgewright.gate.verdict import Finding, Verdict
from edgewright.metrics import METRICS
from edgewright.stats.paired import PairedMean, PairedProportions
from edgewright.validation import Parity

CONFIG = GateConfig()
PARITY = Parity(
    n=400,
    agreement=0.99,
    worst_difference=0.1,
    worst_difference_lsb=None,
    relative_difference=0.01,
    saturation=0.0,
    gain=1.0,
    correlation=0.999,
    constant_outputs=(),
    not_finite=0,
)
SCREENED = Verdict(findings=(Finding(rule="size", outcome="pass", reason="small"),))
RANK = {"fail": 0, "inconclusive": 1, "pass": 2}


def proportions(n, gains, losses):
    return PairedProportions(METRICS["top1"], n, int(gains), int(losses))


def look(n=1000, gains=0, losses=0, champion=None, classes=None, parity=PARITY, screening=SCREENED, **budget):
    return Look(
        Target(name="board", runtime="null", budget=Budget(**budget)),
        proportions(n, gains, losses),
        {"": champion} if isinstance(champion, PairedProportions) else champion or {},
        parity,
        screening,
        classes or {},
    )


def one(of_look, number=1, possible=1, config=CONFIG):
    return judge({"board": of_look}, config, number, possible)["board"]


def finding(verdict, rule):
    [found] = [found for found in verdict.findings if found.rule == rule]
    return found


def simulate(n, discordance, drop, runs=100_000, targets=1):
    """Share of runs in which any target passes, its artifacts drawn independently; each outcome is judged once."""
    probabilities = [(discordance - drop) / 2, (discordance + drop) / 2, 1 - discordance]
    draws = np.random.default_rng(0).multinomial(n, probabilities, size=(runs, targets))[:, :, :2]
    outcomes, times = np.unique(draws.reshape(runs, -1), axis=0, return_counts=True)
    passed = 0
    for outcome, often in zip(outcomes, times, strict=True):
        looks = {str(place): look(n, *counts) for place, counts in enumerate(outcome.reshape(targets, 2))}
        passed += often * any(verdict.outcome == "pass" for verdict in judge(looks, CONFIG, 1, 1).values())
    return passed / runs


@pytest.mark.parametrize(("n", "discordance"), [(200, 0.02), (200, 0.15), (450, 0.05), (2000, 0.02), (2000, 0.04)])
def test_an_artifact_that_loses_the_margin_passes_at_most_one_time_in_twenty(n, discordance):
    assert simulate(n, discordance, drop=0.02) <= 0.05


@pytest.mark.parametrize("discordance", [0.02, 0.06])
def test_three_artifacts_that_lose_the_margin_pass_together_at_most_one_time_in_twenty(discordance):
    assert simulate(1000, discordance, drop=0.02, targets=3, runs=2000) <= 0.05


@pytest.mark.parametrize("discordant", [0, 1, 5, 12])
def test_an_artifact_without_a_loss_passes_four_times_in_five_with_the_samples_asked_for(discordant):
    unsure = finding(one(look(100, discordant // 2, discordant - discordant // 2)), "accuracy")
    assert unsure.outcome == "inconclusive"
    assert simulate(unsure.samples_needed, discordant / 100, drop=0.0, runs=10_000) >= 0.8


def test_alpha_is_shared_among_the_looks():
    borderline = look(180)  # p = 0.049
    assert one(borderline, 1, 1).outcome == "pass"
    assert one(borderline, 1, 2).outcome == "inconclusive"


@pytest.mark.parametrize(
    ("losses", "outcome", "said"),
    [
        (2, "pass", "loses less than the 2.00 points that max_accuracy_drop allows"),
        (20, "inconclusive", "use a gentler recipe"),
        (60, "fail", "loses more than the 2.00 points that max_accuracy_drop allows"),
    ],
)
def test_accuracy_has_three_answers(losses, outcome, said):
    answer = finding(one(look(losses=losses)), "accuracy")
    assert answer.outcome == outcome
    assert said in answer.reason
    assert "On 1000 test samples top1 changes by" in answer.reason
    assert (answer.value, answer.limit) == (losses / 1000, 0.02)


def test_too_few_samples_are_counted():
    answer = finding(one(look(100)), "accuracy")
    assert answer.outcome == "inconclusive"
    assert answer.samples_needed > 149  # fewer losses than the margin cannot be shown with less: 0.98^149 < 0.05
    assert f"{answer.samples_needed} test samples" in answer.reason


def test_a_margin_of_nothing_cannot_be_shown():
    answer = finding(one(look(losses=0, max_accuracy_drop=0.0)), "accuracy")
    assert (answer.outcome, answer.samples_needed) == ("inconclusive", None)
    assert "set max_accuracy_drop above 0" in answer.reason


def test_the_bound_in_the_sentence_is_at_the_level_of_the_decision():
    looks = {"a": look(losses=1), "b": look(losses=2), "c": look(losses=20)}
    verdicts = judge(looks, CONFIG, 1, 1)
    levels = {name: finding(verdict, "accuracy").reason.split("bounds at ")[1][:6] for name, verdict in verdicts.items()}
    assert levels == {"a": "98.33 ", "b": "97.5 %", "c": "95 %: "}


@pytest.mark.parametrize(
    ("classes", "outcome", "said"),
    [
        ({"cat": (500, 500), "dog": (480, 500)}, "pass", "every class reaches"),
        ({"cat": (500, 500), "dog": (400, 500)}, "fail", "'dog' is right in 400 of 500"),
        ({"cat": (950, 970), "dog": (29, 30)}, "inconclusive", "samples of this class"),
        ({"cat": (1000, 1000), "dog": (0, 0)}, "inconclusive", "no sample of dog"),
        ({}, "inconclusive", "no sample of any class"),
    ],
)
def test_the_worst_class_has_its_own_floor(classes, outcome, said):
    answer = finding(one(look(classes=classes, min_class_accuracy=0.9)), "worst_class")
    assert answer.outcome == outcome
    assert said in answer.reason


def test_a_class_on_its_floor_passes_at_most_one_time_in_twenty():
    passing = [
        right
        for right in range(260, 301)
        if one(look(5000, classes={"dog": (right, 300)}, min_class_accuracy=0.9)).outcome == "pass"
    ]
    assert 0.02 < binom.pmf(passing, 300, 0.9).sum() <= 0.05


@pytest.mark.parametrize(
    ("losses", "outcome", "said"),
    [(2, "pass", "against the champion"), (20, "inconclusive", ""), (60, "fail", "champion_margin")],
)
def test_a_challenger_must_not_lose_against_the_champion(losses, outcome, said):
    verdict = one(look(champion=proportions(1000, 0, losses)))
    assert finding(verdict, "champion").outcome == verdict.outcome == outcome
    assert said in finding(verdict, "champion").reason


def test_without_a_champion_nothing_is_said_about_one():
    assert [found.rule for found in one(look()).findings] == ["accuracy", "parity", "size"]


def test_parity_on_test_data_counts():
    assert one(look(parity=PARITY.model_copy(update={"agreement": 0.2}))).outcome == "fail"


def test_screening_s_limits_are_carried_and_its_accuracy_is_not():
    screening = Verdict(
        findings=(
            Finding(rule="accuracy", outcome="fail", reason="on validation data"),
            Finding(rule="latency", outcome="inconclusive", reason="not measured"),
            Finding(rule="worth_it", outcome="pass", reason="smaller"),
        )
    )
    verdict = one(look(screening=screening))
    assert [found.rule for found in verdict.findings] == ["accuracy", "parity", "latency", "worth_it"]
    assert verdict.outcome == "inconclusive"


def test_a_challenger_has_to_hold_on_every_batch_of_the_data():
    better, worse = proportions(1000, 60, 0), proportions(1000, 0, 60)
    verdict = one(look(champion={"first": worse, "field": better}))
    assert verdict.outcome == "fail"
    [on_first, on_field] = [found for found in verdict.findings if found.rule == "champion"]
    assert (on_first.outcome, on_field.outcome) == ("fail", "pass")
    assert "the champion on batch 'first'" in on_first.reason


def test_a_regression_is_judged_in_its_own_unit():
    differences = np.random.default_rng(0).normal(0.0, 0.1, size=400)
    budget = Budget(max_accuracy_drop=0.05)
    regression = Look(
        Target(name="board", runtime="null", budget=budget), PairedMean(METRICS["mae"], differences), {}, PARITY, SCREENED
    )
    answer = finding(one(regression), "accuracy")
    assert answer.outcome == "pass"
    assert "0.05 label units" in answer.reason


def test_no_target_no_verdict():
    assert judge({}, CONFIG, 1, 1) == {}


counts = st.integers(2, 2000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n // 2), st.integers(0, n // 2 - 1)))


@settings(max_examples=80, deadline=None)
@given(counts, st.floats(0.001, 0.2), st.floats(0, 0.2))
def test_a_worse_artifact_never_gets_a_better_verdict_and_more_budget_never_a_worse_one(drawn, margin, slack):
    n, gains, losses = drawn
    outcome = one(look(n, gains, losses, max_accuracy_drop=margin)).outcome
    worse = one(look(n, gains, losses + 1, max_accuracy_drop=margin)).outcome
    generous = one(look(n, gains, losses, max_accuracy_drop=margin + slack)).outcome
    assert RANK[worse] <= RANK[outcome] <= RANK[generous]
