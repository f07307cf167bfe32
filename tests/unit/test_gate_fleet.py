# SPDX-License-Identifier: Apache-2.0
"""A fleet is judged by its worst device, rule by rule, and counts as one target."""

from typing import Any

import numpy as np
import pytest
from report_facts import latency, make_facts, parity, score

from edgewright.config import GateConfig, Target
from edgewright.fleet import join_runs
from edgewright.gate.fleet import worst_of
from edgewright.gate.judge import Look, judge
from edgewright.gate.verdict import Finding, Outcome, Verdict
from edgewright.integrations.services.mlflow.log import rung_log
from edgewright.measure import Measurement
from edgewright.metrics import METRICS
from edgewright.stats.paired import PairedProportions
from edgewright.validation import ValidationFacts, ValidationRun


def finding(rule: str, outcome: Outcome, value: float | None = None) -> Finding:
    return Finding(rule=rule, outcome=outcome, reason=f"{rule} is {outcome}.", value=value)


def test_a_rule_that_one_device_breaks_is_broken_and_the_device_is_named() -> None:
    verdict = worst_of(
        {
            "a": Verdict(findings=(finding("latency", "pass", 1.0), finding("parity", "pass", 0.99))),
            "b": Verdict(findings=(finding("latency", "fail", 9.0), finding("parity", "inconclusive", 0.9))),
            "c": Verdict(findings=(finding("latency", "fail", 8.0), finding("parity", "pass", 0.98))),
        }
    )
    assert verdict.outcome == "fail"
    assert verdict.reasons == ("b: latency is fail.", "c: latency is fail.", "b: parity is inconclusive.")


def test_a_rule_that_all_keep_is_shown_by_the_device_nearest_to_its_limit() -> None:
    kept = {
        name: Verdict(findings=(finding("latency", "pass", slow), finding("parity", "pass", alike), finding("sanity", "pass")))
        for name, slow, alike in (("a", 1.0, 0.97), ("b", 2.0, 0.99))
    }
    assert [one.reason.partition(":")[0] for one in worst_of(kept).findings] == ["b", "a", "a"]
    alone = Verdict(findings=(finding("latency", "pass"),))
    assert worst_of({"": alone}) == alone


def look(losses: int, screening: Verdict) -> Look:
    difference = PairedProportions(METRICS["top1"], 2000, 0, losses)
    return Look(Target(name="pi", runtime="null"), difference, {}, parity(2000, 0.99), screening)


def test_on_test_data_the_worst_device_decides_and_screening_is_carried_once() -> None:
    screening = Verdict(findings=(finding("size", "pass"), finding("latency", "pass")))
    fleet = {"a": look(0, screening), "b": look(200, screening)}
    verdict = judge({"pi": fleet}, GateConfig(), 1, 1)["pi"]
    (accuracy,) = [one for one in verdict.findings if one.rule == "accuracy"]
    assert accuracy.outcome == "fail"
    assert accuracy.reason.startswith("b: ")
    assert [one.rule for one in verdict.findings] == ["accuracy", "parity", "size", "latency"]
    assert judge({"pi": fleet | {"b": look(0, screening)}}, GateConfig(), 1, 1)["pi"].outcome == "pass"


def run(folder: Any, name: str, top1: float, **measurements: Measurement) -> ValidationRun:
    facts = make_facts().targets[0].rungs[1].test
    assert facts is not None
    (folder / name).mkdir()
    np.save(folder / name / "outputs.npy", np.full((3, 2), top1, np.float32))
    taken = {"top1": score(top1, 449, top1 - 0.02, top1 + 0.01), **measurements}
    device = facts.device.model_copy(update={"name": name})
    return ValidationRun.seal(folder / name, facts.model_copy(update={"measurements": taken, "device": device}))


def throughput(value: float) -> Measurement:
    return Measurement(value=value, unit="samples/s", n=100, evidence="measured", method="batches")


@pytest.fixture
def joined(tmp_path: Any) -> ValidationRun:
    cold = {"cold_start_ms": latency(9, 8, 9)}
    runs = [
        run(tmp_path, "a", 0.98, latency_p95_ms=latency(2.0, 1.9, 2.2), throughput_b8=throughput(500), **cold),
        run(tmp_path, "b", 0.95, latency_p95_ms=latency(1.0, 0.9, 1.2), throughput_b8=throughput(900)),
    ]  # fmt: skip
    (tmp_path / "joined").mkdir()
    return join_runs(runs, "top1", tmp_path / "joined")


def test_the_worst_of_each_number_stands_for_the_fleet(joined: ValidationRun) -> None:
    taken = joined.facts.measurements
    assert {name: one.value for name, one in taken.items()} == {"top1": 0.95, "latency_p95_ms": 2.0, "throughput_b8": 500}
    assert "cold_start_ms" not in taken, "one device did not take it"
    assert taken["throughput_b8"].method == "batches; on a, the worst of 2 devices"
    assert joined.outputs().max() == pytest.approx(0.95)
    assert {name: float(of_one.max()) for name, of_one in joined.outputs_by_device().items()} == {
        "a": pytest.approx(0.98),
        "b": pytest.approx(0.95),
    }


def test_mlflow_holds_the_numbers_of_each_device(joined: ValidationRun) -> None:
    facts: ValidationFacts = joined.facts
    phone = make_facts().targets[0]
    log = rung_log(phone, phone.rungs[1].model_copy(update={"test": facts}))
    metrics = {name: value for name, value, _ in log.metrics}
    assert metrics["test.latency_p95_ms"] == metrics["test.fleet.a.latency_p95_ms"] == 2.0
    assert metrics["test.fleet.b.latency_p95_ms"] == 1.0
    assert log.tags["fleet.b.name"] == "b"
