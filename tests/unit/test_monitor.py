# SPDX-License-Identifier: Apache-2.0
"""The monitor as a device runs it: small reports, nothing lost at a restart, nothing heavy imported."""

import json
import random
import subprocess
from pathlib import Path

import numpy as np
import pytest
from bare_python import bare_python
from drift_fleet import COLUMNS, HOUR, answer, make_training

from edgewright.drift.reference import Reference
from edgewright.errors import ConfigError, DataError
from edgewright.monitor import Monitor
from edgewright.monitor.privacy import edges_of, randomized, truth

ROOT = Path(__file__).parents[2]
DAY = 24 * HOUR


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return make_training(tmp_path_factory.mktemp("training"))


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def monitor(reference: Reference, folder: Path, clock: Clock, **more: object) -> Monitor:
    return Monitor(json.loads(reference.model_dump_json()), "camera-17", folder, clock=clock, **more)  # type: ignore[arg-type]


def batch(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).normal(size=(count, COLUMNS)).astype(np.float32)
    return x, answer(x)


def reported(device: Monitor, clock: Clock) -> dict[str, object]:
    clock.now += DAY
    page: dict[str, object] = json.loads(device.report().read_text())
    return page


@pytest.mark.parametrize("samples", [1, 92, 1_000, 300_000])
def test_a_feature_takes_less_than_two_kilobytes_a_day(reference: Reference, tmp_path: Path, samples: int) -> None:
    clock = Clock()
    device = monitor(reference, tmp_path, clock)
    for seed in range(max(1, samples // 100_000)):
        device.observe(*batch(min(samples, 100_000), seed))
    clock.now += DAY
    size = device.report().stat().st_size
    assert size <= 2_000 * (len(reference.features) + 1)
    assert not device.due
    with pytest.raises(DataError, match="no report is due"):
        device.report()


def test_what_was_counted_survives_a_restart_and_every_sample_is_in_one_report(reference: Reference, tmp_path: Path) -> None:
    clock = Clock()
    first = monitor(reference, tmp_path, clock)
    first.observe(*batch(30))
    first.save()
    first.observe(*batch(5))  # lost with the power, as said in the documentation
    second = monitor(reference, tmp_path, clock)
    second.observe(*batch(12))
    page = reported(second, clock)
    assert page["samples"] == 42
    assert sum(page["classes"]) == 42  # type: ignore[call-overload]
    third = monitor(reference, tmp_path, clock)
    after = reported(third, clock)
    assert after["samples"] == 0
    assert after["start"] == page["end"]
    assert after["sequence"] > page["sequence"]  # type: ignore[operator]


def test_power_lost_between_report_and_state_reports_nothing_twice(reference: Reference, tmp_path: Path) -> None:
    clock = Clock()
    device = monitor(reference, tmp_path, clock)
    device.observe(*batch(30))
    device.save()
    before = (tmp_path / "state.json").read_bytes()
    page = reported(device, clock)
    (tmp_path / "state.json").write_bytes(before)  # the report was written, the new state was not
    again = monitor(reference, tmp_path, clock)
    assert reported(again, clock)["samples"] == 0
    assert page["samples"] == 30


@pytest.mark.parametrize("content", ["", "{", '{"model": 1'])
def test_a_state_that_was_cut_short_is_set_aside(reference: Reference, tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)
    clock = Clock()
    device = monitor(reference, tmp_path, clock)
    device.observe(*batch(3))
    assert reported(device, clock)["samples"] == 3
    assert (tmp_path / "state.json.broken").read_text() == content


def test_missing_values_are_counted_and_no_raw_sample_is_in_the_report(reference: Reference, tmp_path: Path) -> None:
    clock = Clock()
    device = monitor(reference, tmp_path, clock)
    x, outputs = batch(40)
    x[:7, 1], outputs[0] = np.nan, np.inf
    device.observe(x, outputs)
    page = reported(device, clock)
    features = page["features"]
    assert features["feature 1"]["missing"] == 7  # type: ignore[index]
    assert features["output top-1"]["missing"] == 1  # type: ignore[index]
    assert sum(page["classes"]) == 39  # type: ignore[call-overload]


def test_randomized_answers_are_one_a_sample(reference: Reference, tmp_path: Path) -> None:
    clock = Clock()
    device = monitor(reference, tmp_path, clock, epsilon=1.0)
    device.observe(*batch(500))
    page = reported(device, clock)
    told = sum(sum(feature["buckets"]) for feature in page["features"].values()) + sum(page["classes"])  # type: ignore[attr-defined, call-overload]
    assert told == 500
    assert "kll" not in json.dumps(page)


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_randomized_response_keeps_its_promise(epsilon: float) -> None:
    categories, chance = 5, random.Random(3)
    for true in (0, 4):
        told = np.bincount([randomized(true, categories, epsilon, chance) for _ in range(40_000)], minlength=categories)
        right, wrong = truth(categories, epsilon)
        assert right / wrong == pytest.approx(np.exp(epsilon))
        assert told / 40_000 == pytest.approx([right if one == true else wrong for one in range(categories)], abs=0.012)


def test_buckets_hold_equal_shares_of_the_training_data(reference: Reference) -> None:
    feature = reference.features["feature 0"]
    assert len(edges_of(feature.quantiles)) == 15
    assert np.ptp(feature.buckets[:-1]) <= 0.02 * feature.n
    assert feature.buckets[-1] == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [({"slice_name": "a/b"}, "no name"), ({"epsilon": 0.0}, "epsilon"), ({"own": {"b": len}}, "differ: b")],
)
def test_what_cannot_be_is_told(reference: Reference, tmp_path: Path, more: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        monitor(reference, tmp_path, Clock(), **more)


def test_a_batch_of_another_shape_is_told(reference: Reference, tmp_path: Path) -> None:
    x, outputs = batch(4)
    with pytest.raises(DataError, match="a sample has 3 numbers"):
        monitor(reference, tmp_path, Clock()).observe(x[:, :2], outputs)


def test_it_runs_where_nothing_but_numpy_and_datasketches_is(reference: Reference, tmp_path: Path) -> None:
    (tmp_path / "reference.json").write_text(reference.model_dump_json())
    python = bare_python(tmp_path / "bare", "numpy", "datasketches", "_datasketches")
    (tmp_path / "bare" / "packages" / "edgewright").symlink_to(ROOT / "edgewright")
    code = f"""
import sys, numpy as np
from edgewright.monitor import Monitor, deliver
now = [1.8e9]
monitor = Monitor({str(tmp_path / "reference.json")!r}, "d", {str(tmp_path / "state")!r}, clock=lambda: now[0])
monitor.observe(np.ones((2, 3)), np.ones((2, 3)))
now[0] += 90000
monitor.report()
print(deliver(monitor.outbox, {str(tmp_path / "in")!r}))
assert not {{"pydantic", "click", "zenml", "torch", "scipy", "pandas"}} & set(sys.modules)
"""
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1\n"
