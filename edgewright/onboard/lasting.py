# SPDX-License-Identifier: Apache-2.0
"""Runs that last: a soak, in which a device may get hot and slow, and stretches of a second, over which energy is taken.

All times are of a monotonic clock. Should it jump all the same, the run it jumped in is left out; too many are told.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.onboard import rapl, thermal
from edgewright.onboard.preprocess import Array

if TYPE_CHECKING:
    from edgewright.runtime import Session

WINDOWS = 30
"""Parts of a soak, each with a median of its own."""
JUMPS = 3
"""Runs of an impossible length that may be left out of a soak."""
LONGEST_S = 60.0
"""A run that is told to take longer than this and than a part of the soak did not: a busy system pauses for less."""
STRETCH_S = 1.0
"""Length of a stretch: RAPL's counters are written anew every millisecond, and a meter of ten samples a second gives ten."""

Clock = Callable[[], int]


def soak(session: Session, samples: list[Array], seconds: float, clock: Clock = time.perf_counter_ns) -> dict[str, Any]:
    """Run without a pause for so many seconds.

    Args:
        session: the loaded file.
        samples: go round and round.
        seconds: sum of the times of all runs.
        clock: monotonic, in nanoseconds.

    Returns:
        The fields of SoakFacts.
    """
    length, runs, jumps = int(seconds * 1e9 / WINDOWS), 0, 0
    medians: list[float] = []
    longest = max(length, int(LONGEST_S * 1e9))
    before = thermal.look()
    while len(medians) < WINDOWS and jumps <= JUMPS:
        taken, spent = array("q"), 0
        while spent < length and jumps <= JUMPS:
            sample = samples[runs % len(samples)]
            started = clock()
            session.run(sample)
            took = clock() - started
            runs += 1
            if 0 < took <= longest:
                taken.append(took)
                spent += took
            else:
                jumps += 1
        medians.append(float(np.median(taken)) / 1e6 if taken else 0.0)
    if jumps > JUMPS:
        why = (
            f"{jumps} of {runs} runs took less than nothing or more than {longest / 1e9:g} s by the device's clock: it jumps, "
            "or the soak is too short for this file"
        )
        return {"medians_ms": [], "runs": runs, "throttled": [], "told": before is not None, "why_not": why}
    throttled, hottest = thermal.since(before)
    told = {"throttled": throttled, "told": before is not None, "celsius": hottest, "why_not": ""}
    return {"medians_ms": medians, "runs": runs, **told}


def stretches(session: Session, samples: list[Array], count: int, *, counters: bool) -> tuple[list[dict[str, Any]], str]:
    """Run stretches of a second each.

    Args:
        session: the loaded file.
        samples: go round and round.
        count: of stretches.
        counters: whether the processor's own energy counters are read around each.

    Returns:
        The fields of each Stretch; and why the counters cannot be read, where they cannot.
    """
    packages, why_not = rapl.find() if counters else ([], "")
    if counters and why_not:
        return [], why_not
    return [_stretch(session, samples, packages) for _ in range(count)], ""


def _stretch(session: Session, samples: list[Array], packages: list[rapl.Package]) -> dict[str, Any]:
    begun = [package.read() for package in packages]
    wall, started, inferences = time.time(), time.perf_counter_ns(), 0
    ends = started + int(STRETCH_S * 1e9)
    while (now := time.perf_counter_ns()) < ends:
        session.run(samples[inferences % len(samples)])
        inferences += 1
    used = [package.used(since) for package, since in zip(packages, begun)]
    return {
        "started_s": wall,
        "ended_s": time.time(),
        "seconds": (now - started) / 1e9,
        "inferences": inferences,
        "energy_uj": sum(used) if packages else None,
    }
