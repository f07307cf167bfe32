# SPDX-License-Identifier: Apache-2.0
"""What `ladder: auto` costs above its toolkits: time, processor time and peak memory.

    python benchmarks/ladder_overhead.py [--rounds 3]

Three ways, in turn, each from nothing: `bare_ladder.py` (the toolkits called by a script that knows the way up), the same
stages as steps of a ZenML pipeline, and `edgewright run ladder_overhead.yaml`, which finds the way: int8 is too large for
both targets, half of the model pruned and then int8 is not. Results: results/ladder_overhead.csv, and tables.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measuring import environment, load, save

HERE = Path(__file__).parent
EDGEWRIGHT = Path(sys.executable).with_name("edgewright")
RELEASE = HERE / "ladder_overhead.yaml"
CLIMB = {"ptq_w8a8": "refused", "prune50-ptq_w8a8": "passed"}
SCRIPT, STEPS, OURS = "script", "script in ZenML", "edgewright"
MOST_WALL, MOST_MEMORY_MB = 1.15, 300.0
#: of ru_maxrss, which Linux counts in KiB
MB = 1024 / 1e6


@dataclass(frozen=True)
class Taken:
    """One way, measured once."""

    way: str
    round: int
    wall_s: float
    cpu_s: float
    """User and system time of the process and all it waited for."""
    peak_mb: float
    """Largest resident set of any one of these processes."""
    load: float
    """Load average of the machine over the minute before."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    taken: list[Taken] = []
    for number in range(parser.parse_args().rounds):
        with tempfile.TemporaryDirectory(prefix="ladder-") as name:
            taken += one_round(Path(name), number)
        print(save("ladder_overhead", taken), flush=True)
    print(f"\n{table(taken)}\n\n{goals(taken)}")


def one_round(folder: Path, number: int) -> list[Taken]:
    """Measure each way once; the climb of edgewright's is checked, for the scripts are of that one."""
    ways: dict[str, list[str]] = {
        SCRIPT: [sys.executable, str(HERE / "bare_ladder.py"), "."],
        STEPS: [sys.executable, str(HERE / "bare_zenml.py"), ".", "bare_ladder"],
        OURS: [str(EDGEWRIGHT), "run", RELEASE.name],
    }
    taken = []
    for way, command in ways.items():
        where = folder / way.replace(" ", "-")
        where.mkdir()
        shutil.copy(RELEASE, where)
        taken.append(measured(way, number, command, where))
        one = taken[-1]
        print(f"round {number}: {way:16} {one.wall_s:6.1f} s, processor {one.cpu_s:6.1f} s, {one.peak_mb:5.0f} MB", flush=True)
    check_climb(folder / OURS)
    return taken


def measured(way: str, number: int, command: list[str], folder: Path) -> Taken:
    """Run a command to its end, and read what it and all its processes took from the kernel (wait4)."""
    busy, log, started = load(), folder / "log.txt", time.monotonic()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(ZENML_CONFIG_PATH=str(folder / ".zenml")),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    if process.returncode:
        sys.exit(f"{log.read_text(encoding='utf-8', errors='replace')[-3000:]}\n{command} ended with {process.returncode}")
    return Taken(way, number, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * MB, busy)


def check_climb(folder: Path) -> None:
    """End the benchmark where a target went another way: what was compared would not be the same work."""
    file = next(folder.rglob("release.json"))
    for target in json.loads(file.read_text(encoding="utf-8"))["targets"]:
        went = {rung["recipe"]: rung["status"] for rung in target["rungs"] if rung["status"] != "skipped"}
        if went != CLIMB:
            sys.exit(f"{target['name']} went {went}, and the scripts go {CLIMB}")


def ratios(taken: Sequence[Taken], way: str, reference: str, what: str) -> list[float]:
    """A way's figure as a multiple of the reference's, round by round."""
    base = {one.round: one for one in taken if one.way == reference}
    return [getattr(one, what) / getattr(base[one.round], what) for one in taken if one.way == way]


def table(taken: Sequence[Taken]) -> str:
    """Medians, and ratios within a round with their range, in Markdown."""
    heads = [f"{word}, to the {to}" for to in (SCRIPT, STEPS) for word in ("wall", "processor")]
    lines = [f"| way | wall s | processor s | peak memory MB | {' | '.join(heads)} |", "|---" * (4 + len(heads)) + "|"]
    for way in dict.fromkeys(one.way for one in taken):
        mine = [one for one in taken if one.way == way]
        cells = [f"{statistics.median(getattr(one, what) for one in mine):.1f}" for what in ("wall_s", "cpu_s")]
        cells.append(f"{max(one.peak_mb for one in mine):.0f}")
        for to in (SCRIPT, STEPS):
            for what in ("wall_s", "cpu_s"):
                found = ratios(taken, way, to, what)
                cells.append(f"{statistics.median(found):.2f} [{min(found):.2f}, {max(found):.2f}]")
        lines.append(f"| {way} | {' | '.join(cells)} |")
    rounds, loads = len({one.round for one in taken}), [one.load for one in taken]
    told = f"n = {rounds} rounds: medians; of memory, the largest. Load average {min(loads):.1f} to {max(loads):.1f}"
    return "\n".join([*lines, "", f"{told}, on {os.cpu_count()} cores."])


def goals(taken: Sequence[Taken]) -> str:
    """Say for time and memory whether the goal is met, against the script without ZenML."""
    wall = statistics.median(ratios(taken, OURS, SCRIPT, "wall_s"))
    peak = {way: max(one.peak_mb for one in taken if one.way == way) for way in (SCRIPT, OURS)}
    above = peak[OURS] - peak[SCRIPT]
    return "\n".join(
        [
            f"Goal (wall time <= {MOST_WALL:g} of the toolkits' own): {'met' if wall <= MOST_WALL else 'missed'}, {wall:.2f}.",
            f"Goal (peak memory <= the toolkits' own + {MOST_MEMORY_MB:.0f} MB): "
            f"{'met' if above <= MOST_MEMORY_MB else 'missed'}, {above:+.0f} MB.",
        ]
    )


if __name__ == "__main__":
    main()
