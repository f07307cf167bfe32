# SPDX-License-Identifier: Apache-2.0
"""How numbers are written for people."""

import pytest
from report_facts import latency, make_facts, ratio, said, score

from edgewright.measure import Measurement
from edgewright.report import shown, text


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (812, "bytes", "812 B"),
        (78_412, "bytes", "78.4 kB"),
        (999_600, "bytes", "1000 kB"),
        (1_240_000, "bytes", "1.24 MB"),
        (3.1e9, "bytes", "3.10 GB"),
        (0.412, "ms", "412 µs"),
        (3.42, "ms", "3.42 ms"),
        (0.0, "ms", "0 ms"),
        (1234.5, "ms", "1.23 s"),
        (0.976, "fraction", "97.60 %"),
        (12.345, "degrees", "12.3 degrees"),
        (-0.5, "", "−0.500"),
        (1.4, "LSB", "1.40 LSB"),
        (float("nan"), "ms", "not a number ms"),
        (float("inf"), "fraction", "∞ %"),
        (None, "ms", "unknown"),
    ],
)
def test_quantity_has_a_unit_people_read(value: float | None, unit: str, written: str) -> None:
    assert text.quantity(value, unit) == written


def test_interval_stands_in_the_scale_of_its_value() -> None:
    assert text.interval(latency(0.98, 0.95, 1.07)) == "[950, 1070] µs"
    assert text.interval(score(0.976, 450, 0.9574, 0.9866)) == "[95.74, 98.66] %"
    assert text.interval(ratio(0.27)) == ""


def test_interval_with_one_end_says_which() -> None:
    bound = Measurement(value=2.0, unit="ms", n=59, high=3.0, confidence=0.95, evidence="measured", method="order statistics")
    assert text.interval(bound) == "≤ 3.00 ms"


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [(-0.0044, "fraction", "−0.44 pp"), (0.0, "fraction", "±0.00 pp"), (0.25, "label units", "+0.250 label units")],
)
def test_difference_carries_its_sign(value: float, unit: str, written: str) -> None:
    assert text.difference(value, unit) == written


@pytest.mark.parametrize(
    ("name", "value", "unit", "written"),
    [
        ("max_accuracy_drop", 0.02, "fraction", "accuracy drop ≤ 2 pp"),
        ("max_accuracy_drop", 0.5, "degrees", "accuracy drop ≤ 0.500 degrees"),
        ("min_class_accuracy", 0.9, "fraction", "worst class ≥ 90 %"),
        ("latency_p95_ms", 0.5, "fraction", "p95 latency ≤ 500 µs"),
        ("peak_memory_bytes", 20_000, "fraction", "peak memory ≤ 20.0 kB"),
    ],
)
def test_limit_of_a_budget_is_a_sentence(name: str, value: float, unit: str, written: str) -> None:
    assert text.limit(name, value, unit) == written


def test_judged_number_speaks_the_unit_of_its_rule() -> None:
    assert text.judged(said("accuracy", "fail", "."), 0.0445, "fraction") == "4.45 pp"
    assert text.judged(said("memory", "fail", "."), 34_832, "fraction") == "34.8 kB"
    assert text.judged(said("latency", "pass", "."), 0.365, "fraction") == "365 µs"
    assert text.judged(said("worth_it", "pass", "."), None, "fraction") == ""


def test_target_is_shown_by_the_rung_that_passed_or_the_last_that_ran() -> None:
    phone, board, sensor = make_facts().targets
    assert [shown.rung_of(target).recipe for target in (phone, board, sensor)] == ["ptq_w8a8.entropy", "ptq_w8a8", "ptq_w8a8"]
    assert shown.rung_of(phone.model_copy(update={"rungs": (), "passed_rung": None})) is None


def test_float_score_is_of_the_split_the_artifact_was_scored_on() -> None:
    facts = make_facts()
    on_test, on_validation = (shown.float_score(facts, shown.rung_of(facts.targets[index])) for index in (0, 2))
    assert on_test == facts.baseline["test"]["top1"]
    assert on_validation == facts.baseline["validation"]["top1"]
