# SPDX-License-Identifier: Apache-2.0
"""Throughput, soak and energy on this machine: what is asked for is taken, or is unknown with the reason."""

import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from digits_files import FEW, Digits, digits_files

from edgewright import lasting
from edgewright.bench import Bench, bench_of, time_in_turn
from edgewright.cli import main
from edgewright.config import Budget, Target
from edgewright.device import ProbeFacts, SoakFacts
from edgewright.errors import DeviceError
from edgewright.gate.limits import energy_findings
from edgewright.integrations.devices.null import NullDevice
from edgewright.measure import Measurement


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    return digits_files(tmp_path_factory.mktemp("digits"))


@pytest.fixture
def two_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lasting, "STRETCHES", 2)


def meter(folder: Path, watts: float) -> Path:
    """The log of a meter that was on for a minute before and will be for another: constant power, ten readings a second."""
    begun = time.time() - 60
    rows = [f"{begun + reading / 10},{watts}\n" for reading in range(1200)]
    (folder / "meter.csv").write_text("timestamp_s,power_w\n" + "".join(rows), encoding="utf-8")
    return folder / "meter.csv"


def test_a_file_is_held_to_its_energy_and_shows_throughput_and_drift(
    digits: Digits, tmp_path: Path, two_stretches: None
) -> None:
    words = ["validate", digits.artifact.path, "--runtime", "null", "--data", "digits", "--batch", "1", "--batch", "8"]
    words += ["--soak", "1s", "--energy", meter(tmp_path, 2.5), "--budget", "energy_mj=1000"]
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    lines = {line.split()[0]: line for line in result.output.splitlines() if line.strip()}
    assert "n=2, measured" in lines["energy_mj"]
    assert "n=10, measured" in lines["soak_drift"]
    for name in ("throughput_b1", "throughput_b8"):
        assert "samples/s" in lines[name]
    assert "✓ energy" in result.output


def test_energy_is_power_times_time_over_inferences(digits: Digits, tmp_path: Path, two_stretches: None) -> None:
    bench = bench_of(Target(name="here", runtime="null", energy=str(meter(tmp_path, 2.5))), FEW)
    found = lasting.energy(bench, digits.artifact, digits.dataset.stored("test")).measurements["energy_mj"]
    inferences = int(found.method.split(" inferences")[0].rpartition(" ")[2])
    assert found.value == pytest.approx(2.5 * 2 * 1000 / inferences, rel=0.2)  # of two stretches, the mean of their ratios
    assert found.unit == "mJ"


def test_what_cannot_be_taken_is_unknown_with_the_reason(digits: Digits, tmp_path: Path) -> None:
    target = Target(name="here", runtime="null", batches=(2,), soak=1, energy=str(tmp_path / "none.csv"))
    recorded = {"device": "recorded", "device_options": {"folder": str(tmp_path), "board": "b", "machine": "m"}}
    bench = bench_of(target.model_copy(update=recorded), FEW)
    stored = digits.dataset.stored("test")
    assert lasting.lasting(bench, digits.artifact, stored, 0).unknown == dict.fromkeys(
        ["throughput_b2", "soak_drift"], "a recording says nothing of it"
    )


def test_rapl_is_read_or_says_why_it_cannot_be(digits: Digits, two_stretches: None) -> None:
    bench = bench_of(Target(name="here", runtime="null", energy="rapl"), FEW)
    taken = lasting.energy(bench, digits.artifact, digits.dataset.stored("test"))
    if taken.measurements:
        assert taken.measurements["energy_mj"].value > 0
    else:
        assert "energy counters" in taken.unknown["energy_mj"]


class Staged(NullDevice):
    """Answers with the facts it is given."""

    def __init__(self, **facts: Any) -> None:
        self._facts = facts

    def probe(self, *asked: Any) -> Any:
        return ProbeFacts(**self._facts), None


def on(device: NullDevice, **measuring: Any) -> Bench:
    bench = bench_of(Target(name="here", runtime="null", device="null", soak=300), FEW.model_copy(update=measuring))
    return Bench(device, bench.options, bench.runtime, bench.target, bench.measuring)


@pytest.mark.parametrize(
    ("soak", "said"),
    [
        ({"medians_ms": [1.0] * 30, "told": True}, []),
        ({"medians_ms": [1.0] * 10 + [1.3] * 20, "told": True, "celsius": 80}, ["slowed down during the soak, to 1.3 times"]),
        ({"medians_ms": [1.0] * 30, "told": True, "throttled": ["core_throttle_count"]}, ["The device throttled"]),
    ],
)
def test_throttling_is_flagged(digits: Digits, soak: dict[str, Any], said: list[str]) -> None:
    device = Staged(soak=SoakFacts(runs=3000, **soak))
    taken = lasting.lasting(on(device), digits.artifact, digits.dataset.stored("test"), 0)
    assert len(taken.notes) == len(said)
    assert all(words in note for words, note in zip(said, taken.notes, strict=True))
    assert taken.measurements["soak_drift"].value == pytest.approx(soak["medians_ms"][-1])


def test_times_of_a_busy_device_are_refused_where_that_is_asked(digits: Digits) -> None:
    busy = Staged(latencies_ms=(1.0,), load_per_core=2.5)
    stored = digits.dataset.stored("test")
    assert time_in_turn(on(busy), digits.artifact, None, stored)[0].busy
    with pytest.raises(DeviceError, match=r"no latency was taken on null; the device was busy: load average 2\.5"):
        time_in_turn(on(busy, under_load="refuse"), digits.artifact, None, stored)


@pytest.mark.parametrize(
    ("limit", "high", "evidence", "outcome"),
    [(3, 2.5, "measured", "pass"), (1, 2.5, "measured", "fail"), (2, 2.5, "measured", "inconclusive"),
     (3, None, "measured", "inconclusive"), (3, 2.5, "emulated", "inconclusive")],
)  # fmt: skip
def test_energy_is_held_by_its_interval(
    digits: Digits, tmp_path: Path, limit: float, high: float | None, evidence: Any, outcome: str
) -> None:
    run = digits.validate(Target(name="here", runtime="null", device="null"), tmp_path / "run")
    energy = Measurement(value=2, unit="mJ", n=10, low=high and 1.5, high=high, evidence=evidence, method="meter")
    facts = run.facts.model_copy(update={"measurements": {"energy_mj": energy}})
    (finding,) = energy_findings(Budget(energy_mj=limit), facts)
    assert finding.outcome == outcome


def test_a_limit_on_energy_that_nobody_took_is_not_kept(digits: Digits, tmp_path: Path) -> None:
    run = digits.validate(Target(name="here", runtime="null", device="null"), tmp_path / "run")
    (finding,) = energy_findings(Budget(energy_mj=1), run.facts)
    assert finding.outcome == "inconclusive"
    assert "the target does not say how it is taken" in finding.reason
