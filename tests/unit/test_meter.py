# SPDX-License-Identifier: Apache-2.0
"""A meter's file becomes joules of each stretch, or a reason why none can be told."""

from pathlib import Path

import numpy as np
import pytest

from edgewright.device import Stretch
from edgewright.meter import Unreadable, energies
from edgewright.stats.mean import mean_interval

START = 1_700_000_000.0
STRETCH = Stretch(started_s=START + 2, ended_s=START + 3, seconds=1.0, inferences=100)


def log(folder: Path, seconds: float = 5, rate: int = 100, text: str = "") -> Path:
    """A meter that reads a power rising by one watt a second, from one watt."""
    moments = np.arange(0, seconds, 1 / rate)
    rows = [f"{START + moment:.6f},{1 + moment:.6f}\n" for moment in moments]
    (folder / "meter.csv").write_text(text or "timestamp_s,power_w\n" + "".join(rows), encoding="utf-8")
    return folder / "meter.csv"


def test_energy_is_power_over_time(tmp_path: Path) -> None:
    later = STRETCH.model_copy(update={"started_s": START + 3.25, "ended_s": START + 4.25})
    assert energies(log(tmp_path), [STRETCH, later]) == pytest.approx([3.5, 4.75], rel=1e-4)


def test_the_last_line_may_still_be_written(tmp_path: Path) -> None:
    file = log(tmp_path)
    file.write_text(file.read_text() + f"{START + 5},9", encoding="utf-8")
    assert energies(file, [STRETCH]) == pytest.approx([3.5], rel=1e-4)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0, 0.2])
def test_a_clock_that_was_set_while_it_ran_gives_no_energy(tmp_path: Path, jump: float) -> None:
    set_meanwhile = STRETCH.model_copy(update={"ended_s": STRETCH.ended_s + jump})
    with pytest.raises(Unreadable, match="the device's clock was set while it ran"):
        energies(log(tmp_path), [set_meanwhile])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,watts\n1,2\n", "the first line of meter.csv is not 'timestamp_s,power_w'"),
        ("timestamp_s,power_w\n1,two\n", "a line that is not two numbers"),
        ("timestamp_s,power_w\n1\n", "a line that is not two numbers"),
        ("timestamp_s,power_w\n2,1\n1,1\n", "growing time"),
        ("timestamp_s,power_w\n1,-1\n2,1\n", "not negative"),
        ("timestamp_s,power_w\n1,nan\n2,1\n", "not negative"),
        ("timestamp_s,power_w\n", "growing time"),
    ],
)
def test_a_damaged_file_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        energies(log(tmp_path, text=text), [STRETCH])


def test_a_meter_that_was_off_or_too_slow_gives_no_energy(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"0 readings in a stretch"):
        energies(log(tmp_path, seconds=1), [STRETCH])
    with pytest.raises(Unreadable, match=r"5 or more"):
        energies(log(tmp_path, rate=3), [STRETCH])
    with pytest.raises(Unreadable, match="cannot be read"):
        energies(tmp_path / "none.csv", [STRETCH])


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says() -> None:
    drawn = np.random.default_rng(0).normal(5, 1, (2000, 10))
    covered = [low <= 5 <= high for _, low, high in map(mean_interval, drawn) if low is not None and high is not None]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)
    assert mean_interval([2.0]) == (2.0, None, None)
