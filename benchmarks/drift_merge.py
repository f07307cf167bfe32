# SPDX-License-Identifier: Apache-2.0
"""How long it takes to check and merge a day's reports of a large fleet, and how much memory.

python benchmarks/drift_merge.py [--reports 100000] [--samples 1000]

20 features a report. Reports lie in .jsonl files of 1,000; they are read twice, heads first, since a device's share can be
capped only once all counts are known. Writing them is not timed. 100,000 reports of 1,000 samples take 2.4 GB in TMPDIR.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measuring import load, save

from edgewright.drift.merge import merge_reports
from edgewright.drift.reference import Reference, describe
from edgewright.monitor.sketch import Sketch

NOW, MODEL = 1_800_000_000, "0" * 64
NAMES = tuple(f"feature {index}" for index in range(20))
#: reports that differ in more than device and number; the others repeat their sketches
DISTINCT = 200


@dataclass(frozen=True)
class Taken:
    """One merge."""

    reports: int
    samples: int
    report_bytes: int
    processes: int
    wall_s: float
    cpu_s: float
    memory_mb: float
    """At most: this process's peak and the largest child's for each of them."""
    load: float


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--reports", type=int, default=100_000)
    arguments.add_argument("--samples", type=int, default=1_000)
    given = arguments.parse_args()
    rng = np.random.default_rng(0)
    reference = Reference(
        model=MODEL, target="simulated", data="", task="regression", labels=(), sample_size=20, output_size=0, logits=False,
        inputs=NAMES, own=(), outputs=(), classes=None,
        features={name: describe(rng.normal(size=10_000).astype(np.float32)) for name in NAMES},
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="edgewright-reports-") as folder:
        size = write(Path(folder), given.reports, given.samples, rng)
        processes = os.cpu_count() or 1
        began, before = time.monotonic(), cpu()
        fleet = merge_reports(Path(folder), {MODEL: reference}, NOW, 0.05, processes)
        wall, spent = time.monotonic() - began, cpu() - before
    assert len(fleet.heads) == given.reports
    assert fleet.groups[0].features["feature 0"].n == given.reports * given.samples
    own, child = (resource.getrusage(who).ru_maxrss / 1000 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    taken = Taken(given.reports, given.samples, size, processes, wall, spent, own + processes * child, load())
    print(save("drift_merge", [taken]))
    print(taken)


def cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def write(folder: Path, reports: int, samples: int, rng: np.random.Generator) -> int:
    """Write all reports; return the bytes of one."""
    bodies = [features(samples, rng) for _ in range(min(DISTINCT, reports))]
    line = ""
    for start in range(0, reports, 1000):
        with (folder / f"{start}.jsonl").open("w") as stream:
            for number in range(start, min(start + 1000, reports)):
                head = {"schema_version": 1, "model": MODEL, "device": f"device-{number}", "slice": "all", "sequence": NOW}
                head |= {"start": NOW - 90_000, "end": NOW - 3600, "samples": samples, "epsilon": None, "classes": None}
                line = f'{json.dumps(head)[:-1]},"features":{bodies[number % len(bodies)]}}}\n'
                stream.write(line)
    return len(line)


def features(samples: int, rng: np.random.Generator) -> str:
    sketches = {}
    for name in NAMES:
        sketch = Sketch()
        sketch.add(rng.normal(size=samples).astype(np.float32))
        sketches[name] = sketch.to_json()
    return json.dumps(sketches, separators=(",", ":"))


if __name__ == "__main__":
    main()
