# SPDX-License-Identifier: Apache-2.0
"""Measure the files of one seed in one run: size, top-1 on all test samples, and latency against the float baseline.

Everything runs on edgewright's local device, one sample at a time on one thread. Latency is taken in fresh processes, round
after round over all files of a runtime, the float file among them; every second round goes backwards, so that a
machine that grows slower or faster favours nobody.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measuring import load
from numpy.typing import NDArray

from edgewright.artifact import ArtifactManifest
from edgewright.device import Device, ProbeFacts, ProbePlan
from edgewright.integrations.devices.local import LocalDevice
from edgewright.metrics import metric
from edgewright.plugins import create
from edgewright.stats.paired import compare
from edgewright.stats.ratio import median_ratio
from race.release import Release

#: of the race: top-1 may fall by one percentage point, tested at 5 %
MARGIN, ALPHA = 0.01, 0.05
ROUNDS, WARMUP, INVOCATIONS, TIMED_SAMPLES = 9, 10, 100, 32
FLOAT, EDGEWRIGHT = "float baseline", "edgewright"
Array = NDArray[Any]


@dataclass(frozen=True)
class Row:
    """One way in one runtime with one seed; ratios are to the float baseline's file in the same runtime."""

    seed: int
    way: str
    runtime: str
    recipe: str
    promoted: bool
    """Whether edgewright's gate promoted it; of the others nobody asks that."""
    size_bytes: int
    times_smaller: float
    latency_p50_ms: float
    latency_ratio: float
    latency_ratio_low: float
    latency_ratio_high: float
    times_faster: float
    top1: float
    difference_pp: float
    difference_low_pp: float
    difference_high_pp: float
    """Two-sided 95 % interval."""
    non_inferior: bool
    parameters: int
    parameters_removed: float
    samples: int
    timed_runs: int
    load: float
    """Load average of the machine over the minute before."""


@dataclass(frozen=True)
class Contender:
    """One file of the race."""

    way: str
    runtime: str
    recipe: str
    file: Path
    manifest: ArtifactManifest
    parameters: int
    promoted: bool = True


def contenders(release: Release, peers: dict[str, tuple[str, Path]]) -> list[Contender]:
    """Every file of one seed: the float baselines, edgewright's, and the peers' (way to runtime and file)."""
    before = release.facts.candidate.parameters
    found = [Contender(FLOAT, runtime, "float32", one.main_file, one.facts, before) for runtime, one in release.floats.items()]
    for runtime, own in release.entries.items():
        left = own.rung.candidate.parameters if own.rung.candidate else before
        made = own.artifact
        found.append(Contender(EDGEWRIGHT, runtime, own.rung.recipe, made.main_file, made.facts, left, own.promoted))
    for way, (runtime, file) in peers.items():
        found.append(Contender(way, runtime, "", file, described(file, runtime, release), before))
    return found


def described(file: Path, runtime: str, release: Release) -> ArtifactManifest:
    """Describe a peer's file as it declares itself, so that the device prepares the same samples for it."""
    signature, start = create("runtimes", runtime).inspect(file), release.floats[runtime]
    own = {"file": file.name, "size_bytes": file.stat().st_size, "inputs": signature.inputs, "outputs": signature.outputs}
    return start.facts.model_copy(update={**own, "recipe": "peer", "parent": start.digest})


def measure(release: Release, files: list[Contender], seed: int) -> list[Row]:
    """Measure all files of one seed."""
    stored, labels = release.dataset.stored("test"), np.asarray(release.dataset.labels("test"))
    outputs = {}
    for one in files:
        print(f"seed {seed}: answers of {one.way} in {one.runtime}", flush=True)
        plan = ProbePlan(runtime=one.runtime, threads=1, outputs=True)
        outputs[one.way, one.runtime] = probe(one, stored, plan)[1]
    latencies = timed(files, stored[:TIMED_SAMPLES], seed)
    floats = {one.runtime: one for one in files if one.way == FLOAT}
    return [row(one, floats[one.runtime], outputs, latencies, labels, seed) for one in files]


def timed(files: list[Contender], samples: Array, seed: int) -> dict[tuple[str, str], list[float]]:
    """Milliseconds of single inferences, by way and runtime."""
    taken: dict[tuple[str, str], list[float]] = {(one.way, one.runtime): [] for one in files}
    for number in range(ROUNDS):
        print(f"seed {seed}: timing, round {number + 1} of {ROUNDS}, load average {load():.1f}", flush=True)
        for runtime in dict.fromkeys(one.runtime for one in files):
            turn = [one for one in files if one.runtime == runtime]
            for one in reversed(turn) if number % 2 else turn:
                plan = ProbePlan(runtime=runtime, threads=1, warmup=WARMUP, invocations=INVOCATIONS, outputs=False)
                taken[one.way, runtime] += probe(one, samples, plan)[0].latencies_ms
    return taken


def probe(one: Contender, samples: Array, plan: ProbePlan) -> tuple[ProbeFacts, Array | None]:
    device: Device = LocalDevice()
    return device.probe(one.file, one.manifest, samples, plan, device.Options())


def row(one: Contender, base: Contender, outputs: Any, latencies: Any, labels: Array, seed: int) -> Row:
    """Put together what was taken of one file, against the float file of its runtime."""
    key, reference = (one.way, one.runtime), (base.way, base.runtime)
    difference = compare(metric("top1"), labels, outputs[reference], outputs[key], seed)
    low, high = difference.interval()
    ratio = median_ratio(latencies[key], latencies[reference], seed, "measured")
    assert ratio.low is not None, "the bootstrap gives both ends"
    assert ratio.high is not None, "the bootstrap gives both ends"
    size = one.file.stat().st_size
    return Row(
        seed=seed,
        way=one.way,
        runtime=one.runtime,
        recipe=one.recipe,
        promoted=one.promoted,
        size_bytes=size,
        times_smaller=base.file.stat().st_size / size,
        latency_p50_ms=float(np.median(latencies[key])),
        latency_ratio=ratio.value,
        latency_ratio_low=ratio.low,
        latency_ratio_high=ratio.high,
        times_faster=1 / ratio.value,
        top1=metric("top1").score(labels, outputs[key]),
        difference_pp=100 * difference.value,
        difference_low_pp=100 * low,
        difference_high_pp=100 * high,
        non_inferior=difference.p_value(MARGIN) <= ALPHA,
        parameters=one.parameters,
        parameters_removed=1 - one.parameters / base.parameters,
        samples=len(labels),
        timed_runs=len(latencies[key]),
        load=load(),
    )
