# SPDX-License-Identifier: Apache-2.0
"""The log of an external power meter: a CSV file with the columns timestamp_s and power_w, a line a reading.

timestamp_s is Unix time in seconds, by the clock of the device that is measured or one that is kept with it (NTP);
power_w is what the whole device draws, in watts. The file may still be written to.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgewright.device import Stretch

COLUMNS = ["timestamp_s", "power_w"]
FEWEST = 5
"""Readings within a stretch below which its energy says little: at 5, one that is missed is a fifth of it."""
CLOCK = 0.05
"""Seconds by which the device's wall clock and its monotonic clock may differ over a stretch."""


class Unreadable(Exception):  # noqa: N818 - a reason, which becomes a sentence beside 'unknown'
    """Why no energy can be told, in words."""


def energies(file: Path, stretches: Sequence[Stretch]) -> list[float]:
    """Return the joules of each stretch: power over time by the trapezoidal rule, as long as the monotonic clock says.

    Raises:
        Unreadable: the file is not there or damaged, does not cover a stretch, or the device's clock was set meanwhile.
    """
    times, watts = _read(file)
    return [_energy(times, watts, stretch, file) for stretch in stretches]


def _energy(times: NDArray[np.float64], watts: NDArray[np.float64], stretch: Stretch, file: Path) -> float:
    spent = stretch.ended_s - stretch.started_s
    if abs(spent - stretch.seconds) > CLOCK:
        raise Unreadable(
            f"the device's clock was set while it ran: {spent:.3g} s passed by it, and {stretch.seconds:.3g} s did"
        )
    within = (times > stretch.started_s) & (times < stretch.ended_s)
    inside = int(within.sum())
    if inside < FEWEST or times[0] > stretch.started_s or times[-1] < stretch.ended_s:
        raise Unreadable(
            f"{file.name} has {inside} readings in a stretch of {stretch.seconds:.3g} s; {FEWEST} or more, and one on each "
            "side, are needed: is the meter on, and its clock the device's?"
        )
    moments = np.concatenate([[stretch.started_s], times[within], [stretch.ended_s]])
    mean = np.trapezoid(np.interp(moments, times, watts), moments) / spent
    return float(mean * stretch.seconds)


def _read(file: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        whole = text[: text.rfind("\n") + 1]  # the meter may be writing the last line
        header, *rows = [row for row in csv.reader(whole.splitlines()) if row] or [[]]
    except (OSError, ValueError, csv.Error) as error:
        raise Unreadable(f"the meter's file cannot be read: {error}") from error
    if [name.strip() for name in header] != COLUMNS:
        raise Unreadable(f"the first line of {file.name} is not '{','.join(COLUMNS)}'")
    try:
        table = np.array([[float(cell) for cell in row] for row in rows], np.float64).reshape(len(rows), len(COLUMNS))
    except ValueError as error:
        raise Unreadable(f"{file.name} holds a line that is not two numbers: {error}") from error
    if len(table) < 2 or not np.isfinite(table).all() or (table[:, 1] < 0).any() or not (np.diff(table[:, 0]) > 0).all():
        raise Unreadable(f"{file.name} does not hold readings of growing time and of power that is not negative")
    return table[:, 0], table[:, 1]
