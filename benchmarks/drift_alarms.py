# SPDX-License-Identifier: Apache-2.0
"""How often drift is said where there is none, and how soon where there is: simulated fleets through the product's own rules.

python benchmarks/drift_alarms.py [--fleets 50] [--devices 20]

Each fleet has a reference of its own (a new training set each time, so that a lucky or unlucky one is part of the count), 1,000
samples a day from all devices together, and 20 features that are correlated with each other. It is checked daily for 100
days, the last day and the last week each time. Then one feature is shifted by 0.5 standard deviations.
"""

import argparse
import base64
import time
from collections import deque
from dataclasses import dataclass

import numpy as np
from datasketches import kll_floats_sketch
from measuring import load, save

from edgewright.config.drift import DriftLevels
from edgewright.drift.fleet import Fleet, Group, Merged
from edgewright.drift.judge import decide, worst
from edgewright.drift.reference import Reference, describe
from edgewright.drift.sums import MERGED_K
from edgewright.monitor.sketch import K

FEATURES, SAMPLES = 20, 1000
NAMES = tuple(f"feature {index}" for index in range(FEATURES))
MODEL = "0" * 64
#: share of a feature's variance that all features have in common
COMMON = 0.3


@dataclass(frozen=True)
class Counted:
    """One fleet."""

    case: str
    devices: int
    trained_on: int
    fleet: int
    checks: int
    alarms: int
    """Checks that said watch or drift."""
    drifts: int
    """Checks that said drift."""
    found_after: int
    """Days until the shift was called drift; 0 where there was none, 99 where it was not found."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--fleets", type=int, default=50)
    arguments.add_argument("--devices", type=int, default=20)
    given, started = arguments.parse_args(), time.monotonic()
    taken = []
    for trained_on in (1_000, 20_000):
        for fleet in range(given.fleets):
            rng = np.random.default_rng([trained_on, fleet])
            reference = reference_of(samples(rng, trained_on))
            case = (given.devices, trained_on, fleet)
            taken += [quiet(rng, reference, case), shifted(rng, reference, case)]
    print(save(f"drift_alarms_{given.devices}_devices", taken))
    for trained_on in (1_000, 20_000):
        rows = [row for row in taken if row.trained_on == trained_on]
        still = [row for row in rows if row.case == "no drift"]
        found = [row.found_after for row in rows if row.case != "no drift"]
        checks = sum(row.checks for row in still)
        alarms, drifts = sum(row.alarms for row in still), sum(row.drifts for row in still)
        print(
            f"trained on {trained_on}: {alarms} alarms ({drifts} of them drift) in {checks} checks of {len(still)} fleets; ",
            end="",
        )
        print(f"most in 100 checks of one fleet: {max(row.alarms for row in still)}")
        print(f"  0.5 sigma in one feature: days until found {np.bincount(found)[1:].tolist()} (day 1, 2, …), n = {len(found)}")
    print(f"{time.monotonic() - started:.0f} s, load average {load():.1f}")


def quiet(rng: np.random.Generator, reference: Reference, case: tuple[int, int, int]) -> Counted:
    week: deque[list[kll_floats_sketch]] = deque(maxlen=7)
    verdicts = []
    for _ in range(100):
        week.append(day(rng, case[0]))
        verdicts.append(check(week, reference))
    return Counted("no drift", *case, 100, sum(one != "none" for one in verdicts), sum(one == "drift" for one in verdicts), 0)


def shifted(rng: np.random.Generator, reference: Reference, case: tuple[int, int, int]) -> Counted:
    """Seven days without, then a shift that stays."""
    week: deque[list[kll_floats_sketch]] = deque((day(rng, case[0]) for _ in range(7)), maxlen=7)
    verdicts = []
    for number in range(1, 11):
        week.append(day(rng, case[0], shift=0.5))
        verdicts.append(check(week, reference))
        if verdicts[-1] == "drift":
            return Counted("0.5 sigma", *case, number, 0, 1, number)
    return Counted("0.5 sigma", *case, 10, 0, 0, 99)


def samples(rng: np.random.Generator, count: int, shift: float = 0.0) -> np.ndarray:
    common = rng.normal(size=(count, 1))
    values = np.sqrt(COMMON) * common + np.sqrt(1 - COMMON) * rng.normal(size=(count, FEATURES))
    values[:, 0] += shift
    return values.astype(np.float32)


def day(rng: np.random.Generator, devices: int, shift: float = 0.0) -> list[kll_floats_sketch]:
    """Every device's sketches, merged feature by feature."""
    merged = [kll_floats_sketch(MERGED_K) for _ in NAMES]
    for _ in range(devices):
        values = samples(rng, SAMPLES // devices, shift)
        for column, into in enumerate(merged):
            sketch = kll_floats_sketch(K)
            sketch.update(np.ascontiguousarray(values[:, column]))
            into.merge(sketch)
    return merged


def check(week: deque[list[kll_floats_sketch]], reference: Reference) -> str:
    together = [kll_floats_sketch(MERGED_K) for _ in NAMES]
    for one in week:
        for into, sketch in zip(together, one, strict=True):
            into.merge(sketch)
    groups = (group("day", week[-1]), group("week", together))
    fleet = Fleet(now=0, heads=(), old=0, refused={}, examples={}, groups=groups)
    decided = decide(fleet, {MODEL: reference}, DriftLevels())
    return worst(one.verdict for one in decided.values())


def group(window: str, sketches: list[kll_floats_sketch]) -> Group:
    features = {
        name: Merged(n=float(sketch.n), missing=0.0, kll=base64.b64encode(sketch.serialize()).decode())
        for name, sketch in zip(NAMES, sketches, strict=True)
    }
    return Group(
        model=MODEL, slice=None, epsilon=None, window=window, devices=20, samples=float(sketches[0].n),
        largest_share=0.05, features=features, classes=None,
    )  # fmt: skip


def reference_of(values: np.ndarray) -> Reference:
    features = {name: describe(values[:, index]) for index, name in enumerate(NAMES)}
    return Reference(
        model=MODEL, target="simulated", data="", task="regression", labels=(), sample_size=FEATURES, output_size=0,
        logits=False, inputs=NAMES, own=(), outputs=(), features=features, classes=None,
    )  # fmt: skip


if __name__ == "__main__":
    main()
