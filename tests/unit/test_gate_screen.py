# SPDX-License-Identifier: Apache-2.0
"""Screening on validation data: three answers of every rule, each with a reason that names its numbers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.config import Budget, GateConfig, Target
from edgewright.gate.screen import screen
from edgewright.measure import DeviceFacts, Measurement
from edgewright.validation import Parity, Sanity, ValidationFacts

DEVICE = DeviceFacts(name="board", kind="local", machine="some cpu", cores=4, os="Linux", threads=1)
PARITY = Parity(
    n=200,
    agreement=0.99,
    worst_difference=0.1,
    worst_difference_lsb=1.5,
    relative_difference=0.02,
    saturation=0.0,
    gain=1.0,
    correlation=0.999,
    constant_outputs=(),
    not_finite=0,
)


def taken(value, unit="bytes", low=None, high=None, evidence="measured", n=300, method="file size"):
    return Measurement(value=value, unit=unit, n=n, low=low, high=high, evidence=evidence, method=method)


def latency(low, value, high, evidence="measured"):
    return taken(value, "ms", low, high, evidence, method="order statistics")


def facts(parity=PARITY, parent=None, ratios=None, **measurements):
    own = {"size_bytes": taken(40_000), **measurements}
    return ValidationFacts(
        target="board",
        recipe="ptq_w8a8",
        artifact="0" * 64,
        split="validation",
        measurements={name: one for name, one in own.items() if one is not None},
        parent={"size_bytes": taken(100_000)} if parent is None else parent,
        ratios=ratios or {},
        parity=parity,
        sanity=Sanity(n=200),
        device=DEVICE,
    )


def target(objective=None, **budget):
    return Target(name="board", runtime="null", objective=objective, budget=Budget(**budget))


def finding(rule, of_target, of_facts, drop=0.0, parent_is_self=False):
    verdict = screen(of_target, of_facts, drop, GateConfig(), parent_is_self)
    [one] = [one for one in verdict.findings if one.rule == rule]
    return one


def test_a_good_artifact_passes_and_every_rule_says_so():
    everything = target(latency_p95_ms=5.0, size_bytes=50_000, peak_memory_bytes=10_000)
    seen = facts(latency_p95_ms=latency(3.0, 4.0, 4.5), peak_memory_bytes=taken(9_000))
    verdict = screen(everything, seen, 0.01, GateConfig())
    assert verdict.outcome == "pass"
    assert [one.rule for one in verdict.findings] == ["accuracy", "size", "latency", "memory", "parity", "sanity", "worth_it"]
    assert verdict.reasons == ()


@pytest.mark.parametrize(
    ("drop", "outcome"), [(-0.01, "pass"), (0.02, "pass"), (0.021, "fail"), (math.nan, "fail"), (None, "inconclusive")]
)
def test_accuracy_is_a_point_estimate(drop, outcome):
    assert finding("accuracy", target(), facts(), drop).outcome == outcome


@pytest.mark.parametrize(
    ("seen", "outcome", "said"),
    [
        (latency(3.0, 4.0, 5.0), "pass", "keeps the limit of 5 ms"),
        (latency(5.1, 6.0, 7.0), "fail", "even the lower bound breaks"),
        (latency(4.0, 4.5, 5.1), "inconclusive", "more runs would decide"),
        (latency(1.0, 1.0, 1.0, "emulated"), "inconclusive", "has to be measured on the device"),
        (latency(1.0, 1.0, 1.0, "estimated"), "inconclusive", "has to be measured on the device"),
        (None, "inconclusive", "needs at least 59 runs"),
    ],
)
def test_latency_is_held_by_its_bounds(seen, outcome, said):
    answer = finding("latency", target(latency_p95_ms=5.0), facts(latency_p95_ms=seen))
    assert answer.outcome == outcome
    assert said in answer.reason


@pytest.mark.parametrize("estimate", [0.001, 1000.0])
def test_an_estimated_inference_keeps_no_limit_and_breaks_none(estimate):
    seen = taken(estimate, "ms", n=1, evidence="estimated", method="a compiler's")
    answer = finding("latency", target(latency_p95_ms=5.0), facts(latency_ms=seen))
    assert answer.outcome == "inconclusive"
    assert "only estimated" in answer.reason
    assert "has to be measured on the device" in answer.reason


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        (taken(9_000), "pass"),
        (taken(10_001), "fail"),
        (taken(9_000, evidence="emulated", method="tensor arena"), "pass"),
        (taken(9_000, evidence="estimated"), "inconclusive"),
        (None, "inconclusive"),
    ],
)
def test_memory_must_be_taken(seen, outcome):
    assert finding("memory", target(peak_memory_bytes=10_000), facts(peak_memory_bytes=seen)).outcome == outcome


@pytest.mark.parametrize(("limit", "outcome"), [(40_000, "pass"), (39_999, "fail")])
def test_size_is_exact(limit, outcome):
    assert finding("size", target(size_bytes=limit), facts()).outcome == outcome


@pytest.mark.parametrize(
    ("broken", "outcome", "said"),
    [
        ({"saturation": 0.05}, "fail", "calibration range is too narrow"),
        ({"gain": 0.5}, "fail", "scale is wrong"),
        ({"gain": None, "correlation": None}, "inconclusive", "do not vary"),
        ({"constant_outputs": (1, 3)}, "fail", "Outputs 1, 3 do not depend on the input"),
        ({"permutation": (1, 0)}, "fail", "labels are permuted"),
        ({"not_finite": 3}, "fail", "NaN or infinite"),
        ({"relative_difference": 0.5}, "fail", "worst difference"),
        ({"relative_difference": math.nan}, "fail", "worst difference"),
        ({"agreement": 0.12, "correlation": 0.1}, "fail", "swapped layout"),
        ({"agreement": 0.90}, "fail", "90.0 %"),
    ],
)
def test_each_broken_parity_says_what_it_usually_means(broken, outcome, said):
    answer = finding("parity", target(), facts(PARITY.model_copy(update=broken)))
    assert answer.outcome == outcome
    assert said in answer.reason


def test_several_broken_parities_are_several_findings():
    wrong = PARITY.model_copy(update={"saturation": 0.3, "gain": 0.7, "agreement": 0.6})
    verdict = screen(target(), facts(wrong), 0.0, GateConfig())
    assert len([one for one in verdict.findings if one.rule == "parity"]) == 3


def test_without_classes_agreement_is_not_asked_for():
    assert finding("parity", target(), facts(PARITY.model_copy(update={"agreement": None}))).outcome == "pass"


SLOWER = {"latency_p50_ms": taken(1.5, "ratio", 1.4, 1.6)}
FASTER = {"latency_p50_ms": taken(0.5, "ratio", 0.4, 0.6)}
LARGER = {"size_bytes": taken(20_000)}


@pytest.mark.parametrize(
    ("of_target", "of_facts", "outcome", "said"),
    [
        (target(), facts(), "pass", "40,000 bytes against 100,000 bytes"),
        (target(), facts(parent={"size_bytes": taken(40_000)}), "fail", "No better than its float parent"),
        (target(), facts(parent=LARGER), "fail", "No better than its float parent"),
        (target(), facts(ratios=FASTER), "pass", "0.5 times"),
        (target(), facts(ratios=SLOWER), "fail", "set objective: smallest, or a limit in budget.latency_p95_ms"),
        (target("smallest"), facts(ratios=SLOWER), "pass", "objective is smallest"),
        (target("least_memory"), facts(ratios=SLOWER), "fail", "trades latency for size"),
        (
            target(latency_p95_ms=5.0),
            facts(ratios=SLOWER, latency_p95_ms=latency(3.0, 4.0, 4.5)),
            "pass",
            "budget allows that much latency",
        ),
        (target(latency_p95_ms=5.0), facts(ratios=SLOWER, latency_p95_ms=latency(4.0, 4.5, 6.0)), "fail", "latency"),
        (target(), facts(parent=LARGER, ratios=FASTER), "fail", "set objective: fastest, or a limit in budget.size_bytes"),
        (target(size_bytes=50_000), facts(parent=LARGER, ratios=FASTER), "pass", "allows that much size"),
        (
            target(),
            facts(parent=LARGER, ratios={"latency_p50_ms": taken(0.5, "ratio", 0.4, 0.6, "emulated")}),
            "fail",
            "latency unknown",
        ),
    ],
)
def test_an_artifact_has_to_be_worth_it(of_target, of_facts, outcome, said):
    answer = finding("worth_it", of_target, of_facts)
    assert answer.outcome == outcome
    assert said in answer.reason


@pytest.mark.parametrize(
    ("mine", "parents", "method", "outcome"),
    [
        (94, 100, "resident", "pass"),
        (96, 100, "resident", "fail"),
        (99, 100, "tensor arena", "pass"),
        (100, 100, "arena", "fail"),
    ],
)
def test_resident_memory_has_a_tolerance_and_an_arena_none(mine, parents, method, outcome):
    parent = {"size_bytes": taken(40_000), "peak_memory_bytes": taken(parents, method=method)}
    seen = facts(parent=parent, peak_memory_bytes=taken(mine, method=method))
    assert finding("worth_it", target(), seen).outcome == outcome


def test_the_float_parent_has_nothing_to_beat():
    assert finding("worth_it", target(), facts(parent=LARGER), parent_is_self=True).outcome == "pass"


RANK = {"fail": 0, "inconclusive": 1, "pass": 2}
positive = st.floats(0.1, 100)


@given(positive, st.floats(0, 2), positive, positive, st.integers(1_000, 200_000), st.floats(0, 0.1), st.floats(0, 0.1))
def test_more_budget_never_turns_a_better_answer_into_a_worse_one(median, width, limit, more, size, drop, slack):
    seen = facts(
        latency_p95_ms=latency(median / (1 + width), median, median * (1 + width)),
        size_bytes=taken(size),
        ratios={"latency_p50_ms": taken(2.0, "ratio", 1.9, 2.1)},
    )
    tight = target(latency_p95_ms=limit, size_bytes=50_000, max_accuracy_drop=0.02)
    loose = target(latency_p95_ms=limit + more, size_bytes=50_000 + int(1000 * more), max_accuracy_drop=0.02 + slack)
    assert RANK[screen(loose, seen, drop, GateConfig()).outcome] >= RANK[screen(tight, seen, drop, GateConfig()).outcome]
