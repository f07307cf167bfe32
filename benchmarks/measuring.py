# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: processes measured from outside, in alternating rounds, and results as CSV."""

import csv
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Taken:
    """One way, measured once."""

    case: str
    way: str
    round: int
    wall_s: float
    cpu_s: float
    """User and system time of the process and all it waited for."""
    load: float
    """Load average of the machine over the minute before."""


def environment(**extra: str) -> dict[str, str]:
    """The environment of every measured process: compiled bytecode is kept, as in any installation that ran once."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} | extra


def process(command: list[str], log: Path, folder: Path, **extra: str) -> tuple[float, float]:
    """Run a command to its end; return wall and processor seconds, those of its children included."""
    started, before = time.monotonic(), children()
    with log.open("wb") as stream:
        done = subprocess.run(
            command, cwd=folder, env=environment(**extra), stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, check=False
        )
    if done.returncode:
        said = "" if log == Path(os.devnull) else log.read_text(encoding="utf-8", errors="replace")[-3000:]
        sys.exit(f"{said}\n{command} ended with {done.returncode}")
    return time.monotonic() - started, children() - before


def children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def load() -> float:
    return os.getloadavg()[0]


def save(name: str, taken: Iterable[Any], folder: Path = RESULTS) -> Path:
    """Write dataclasses of one kind, such as Taken, into <folder>/<name>.csv."""
    rows = [asdict(one) for one in taken]
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()} for row in rows
        )
    return file


def show(taken: list[Taken], reference: str) -> None:
    """Print, case by case, each way's medians and its ratio to the reference: median and range over the rounds."""
    for case in dict.fromkeys(one.case for one in taken):
        print(f"{case}\n  {'':18} {'wall s':>8} {'cpu s':>8}  {'wall ratio':^20} {'cpu ratio':^20}")
        rows = [one for one in taken if one.case == case]
        base = {one.round: one for one in rows if one.way == reference}
        for way in dict.fromkeys(one.way for one in rows):
            mine = [one for one in rows if one.way == way]
            ratios = {
                what: [getattr(one, what) / getattr(base[one.round], what) for one in mine] for what in ("wall_s", "cpu_s")
            }
            told = "  ".join(f"{statistics.median(r):5.2f} [{min(r):.2f}, {max(r):.2f}]" for r in ratios.values())
            wall, cpu = (statistics.median(getattr(one, what) for one in mine) for what in ("wall_s", "cpu_s"))
            print(f"  {way:18} {wall:8.2f} {cpu:8.2f}  {told}  n={len(mine)}")
    loads = [one.load for one in taken]
    print(f"load average while measuring: {min(loads):.1f} to {max(loads):.1f}, on {os.cpu_count()} cores")
