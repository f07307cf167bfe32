# SPDX-License-Identifier: Apache-2.0
"""What runs on a device for long, with a clock, counters and kernel files that the test holds in its hand."""

from itertools import count
from pathlib import Path

import numpy as np
import pytest

from edgewright.errors import ExportError
from edgewright.onboard import rapl, thermal
from edgewright.onboard.batch import in_batches
from edgewright.onboard.lasting import WINDOWS, soak

SAMPLES = [np.full((1, 3), value, np.float32) for value in range(4)]


class Session:
    """Adds one; takes as long as the clock of the test says."""

    def run(self, sample: np.ndarray) -> np.ndarray:
        return sample + 1

    def arena_bytes(self) -> int | None:
        return None


class Clock:
    """Monotonic nanoseconds: a run takes as long as ``took`` says of its number; between runs nothing passes."""

    def __init__(self, took):
        self._took, self._calls, self._now = took, count(), 0

    def __call__(self) -> int:
        call = next(self._calls)
        if call % 2:
            self._now += self._took(call // 2)
        return self._now


MS = 1_000_000


def test_a_soak_gives_the_median_of_each_part() -> None:
    """A device that slows down steadily, from 1 ms to 3 ms."""
    seen = soak(Session(), SAMPLES, 3.0, Clock(lambda run: int(MS * (1 + run / 1000))))
    assert len(seen["medians_ms"]) == WINDOWS
    assert seen["medians_ms"] == sorted(seen["medians_ms"])
    assert seen["medians_ms"][0] == pytest.approx(1.05, abs=0.06)
    assert seen["why_not"] == ""


@pytest.mark.parametrize("jump", [3_600_000 * MS, -3_600_000 * MS])
def test_a_clock_that_jumps_makes_no_nonsense_of_a_soak(jump: int) -> None:
    seen = soak(Session(), SAMPLES, 3.0, Clock(lambda run: jump if run == 500 else MS))
    assert seen["medians_ms"] == [1.0] * WINDOWS
    assert seen["runs"] == pytest.approx(3000, abs=5)


def test_a_clock_that_jumps_all_the_time_gives_no_medians_and_the_reason() -> None:
    seen = soak(Session(), SAMPLES, 3.0, Clock(lambda run: -MS if run % 10 == 9 else MS))
    assert seen["medians_ms"] == []
    assert "took less than nothing or more than 60 s by the device's clock: it jumps" in seen["why_not"]


def powercap(folder: Path, energy: str = "990", largest: str = "999") -> Path:
    for name, what in (("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "core"), ("intel-rapl:1", "psys")):
        (folder / name).mkdir()
        (folder / name / "name").write_text(f"{what}\n")
        (folder / name / "energy_uj").write_text(f"{energy}\n")
        (folder / name / "max_energy_range_uj").write_text(f"{largest}\n")
    return folder


def test_energy_counters_of_packages_are_read_and_may_start_again(tmp_path: Path) -> None:
    packages, why_not = rapl.find(powercap(tmp_path))
    assert (len(packages), why_not) == (1, "")
    begun = packages[0].read()
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("15\n")
    assert packages[0].used(begun) == 25


def test_a_machine_without_counters_and_one_with_broken_ones_say_so(tmp_path: Path) -> None:
    assert "shows no energy counters (RAPL" in rapl.find(tmp_path)[1]
    assert "the energy counters cannot be read" in rapl.find(powercap(tmp_path, energy="many"))[1]


def test_counters_that_only_root_may_read_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, **_: str) -> str:
        raise PermissionError(13, "Permission denied", str(self))

    powercap(tmp_path)
    monkeypatch.setattr(Path, "read_text", refuse)  # the tests may be run by root, who may read everything
    assert "only root may read the energy counters" in rapl.find(tmp_path)[1]


def test_throttling_that_the_system_counts_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = tmp_path / "cpu0" / "thermal_throttle" / "core_throttle_count"
    counter.parent.mkdir(parents=True)
    counter.write_text("3\n")
    (tmp_path / "thermal_zone0").mkdir()
    (tmp_path / "thermal_zone0" / "temp").write_text("81500\n")
    for name in ("CPUS", "ZONES"):
        monkeypatch.setattr(thermal, name, tmp_path)
    monkeypatch.setattr(thermal, "PI", tmp_path / "get_throttled")
    before = thermal.look()
    assert thermal.since(before) == ([], 81.5)
    counter.write_text("4\n")
    assert thermal.since(before) == ([str(counter)], 81.5)
    (tmp_path / "get_throttled").write_text("50005\n")
    assert str(tmp_path / "get_throttled") in thermal.since(thermal.look())[0]


class Resizable(Session):
    def resize(self, batch: int) -> None:
        if batch > 8:
            raise ExportError("a batch of 9 is too large")


class Forgetful(Resizable):
    """Answers the first sample of a batch alone."""

    def run(self, sample: np.ndarray) -> np.ndarray:
        return np.repeat(sample[:1] + 1, len(sample), axis=0)


def test_batches_go_round_the_samples() -> None:
    batches, why_not = in_batches(Resizable(), SAMPLES, 3)
    assert why_not == ""
    assert [batch[:, 0].tolist() for batch in batches] == [[0, 1, 2], [3, 0, 1]]


@pytest.mark.parametrize(
    ("session", "size", "said"),
    [
        (Session(), 2, "takes one sample in a run"),
        (Resizable(), 9, "too large"),
        (Forgetful(), 4, "otherwise than sample by sample"),
    ],
)
def test_a_file_that_takes_no_batches_says_why(session: Session, size: int, said: str) -> None:
    batches, why_not = in_batches(session, SAMPLES, size)
    assert batches == []
    assert said in why_not
