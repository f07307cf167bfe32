# SPDX-License-Identifier: Apache-2.0
"""What a target asks for beside latency and memory: throughput in batches, a soak, energy. Each in a process of its own.

What cannot be taken is unknown, and the reason stands beside it.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgewright.artifact import Artifact
from edgewright.bench import Array, Bench
from edgewright.device import ProbeFacts, ProbePlan, SoakFacts, Stretch
from edgewright.measure import THROUGHPUT, Measurement
from edgewright.meter import Unreadable, energies
from edgewright.progress import stage
from edgewright.stats.mean import CONFIDENCE, mean_interval
from edgewright.stats.quantile import interval
from edgewright.stats.ratio import median_ratio

STRETCHES = 10
"""Stretches of a second over which energy is taken: enough for an interval of their mean."""
SLOWER = 1.05
"""Drift of the median above which a device that tells nothing of throttling is said to have slowed down."""
_SAMPLES = 32


@dataclass
class Taken:
    """Numbers, why others are unknown, and what has to be known of them."""

    measurements: dict[str, Measurement] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, other: "Taken") -> None:
        """Add another's."""
        self.measurements |= other.measurements
        self.unknown |= other.unknown
        self.notes += other.notes


def lasting(bench: Bench, artifact: Artifact, stored: Array, seed: int) -> Taken:
    """Take what the bench's target asks for.

    Args:
        bench: of the target.
        artifact: what runs.
        stored: raw samples (N, …).
        seed: of the resampling behind intervals.

    Raises:
        DeviceError: the device could not run the file.
    """
    taken, target = Taken(), bench.target
    asked = [*(f"{THROUGHPUT}{size}" for size in target.batches), *(["soak_drift"] if target.soak else [])]
    if asked and (why_not := _why_not(bench)):
        return Taken(unknown=dict.fromkeys(asked, why_not))
    for size in target.batches:
        taken.add(_throughput(bench, artifact, stored, size))
    if target.soak:
        taken.add(_soak(bench, artifact, stored, seed))
    return taken


def energy(bench: Bench, artifact: Artifact, stored: Array) -> Taken:
    """Take the energy of one inference, where the target says how.

    Raises:
        DeviceError: the device could not run the file.
    """
    target = bench.target
    if target.energy is None:
        return Taken()
    if why_not := _why_not(bench):
        return Taken(unknown={"energy_mj": why_not})
    counters = target.energy == "rapl"
    with stage(f"Taking the energy of {artifact.facts.recipe}"):
        seen = _probe(bench, artifact, stored, stretches=STRETCHES, counters=counters)
    if not seen.stretches:
        return Taken(unknown={"energy_mj": seen.why_not or f"device {bench.device.name!r} cannot take it"})
    try:
        joules = _counted(seen.stretches) if counters else energies(Path(target.energy), seen.stretches)
    except Unreadable as error:
        return Taken(unknown={"energy_mj": str(error)})
    source = "the processor's counters (RAPL)" if counters else f"the meter's file {Path(target.energy).name}"
    each = [1000 * one / stretch.inferences for one, stretch in zip(joules, seen.stretches, strict=True)]
    value, low, high = mean_interval(each)
    inferences = sum(stretch.inferences for stretch in seen.stretches)
    method = f"{source}, idle power included; mean of {len(each)} stretches of a second, {inferences} inferences, Student's t"
    return Taken(
        {
            "energy_mj": Measurement(
                value=value, unit="mJ", n=len(each), low=low, high=high, confidence=CONFIDENCE,
                evidence=bench.latency_evidence, method=method,
            )
        }
    )  # fmt: skip


def _why_not(bench: Bench) -> str:
    if bench.device.recorded:
        return "a recording says nothing of it"
    imitation = bench.runtime.name if bench.device.timed else bench.device.name
    return "" if bench.timed else f"{imitation} does not run its files as the target does"


def _throughput(bench: Bench, artifact: Artifact, stored: Array, size: int) -> Taken:
    name, measuring = f"{THROUGHPUT}{size}", bench.measuring
    with stage(f"Taking the throughput of {artifact.facts.recipe} in batches of {size}"):
        seen = _probe(bench, artifact, stored, batch=size, warmup=measuring.warmup, invocations=measuring.invocations)
    if not seen.latencies_ms or seen.batch != size:  # a device of a user's own may not know of batches
        return Taken(unknown={name: seen.why_not or f"device {bench.device.name!r} runs no batches"})
    low, high = interval(seen.latencies_ms, 0.5)
    per_second = 1000 * size
    return Taken(
        {
            name: Measurement(
                value=per_second / float(np.median(seen.latencies_ms)),
                unit="samples/s",
                n=len(seen.latencies_ms),
                low=per_second / high if high else None,
                high=per_second / low if low else None,
                confidence=CONFIDENCE,
                evidence=bench.latency_evidence,
                method=f"{size} over the median time of a batch of {size}, order statistics",
            )
        }
    )


def _soak(bench: Bench, artifact: Artifact, stored: Array, seed: int) -> Taken:
    seconds = bench.target.soak or 0.0
    with stage(f"Soaking {artifact.facts.recipe} for {seconds:g} s"):
        seen = _probe(bench, artifact, stored, soak_s=seconds).soak
    if seen is None or seen.why_not:
        return Taken(unknown={"soak_drift": seen.why_not if seen else f"device {bench.device.name!r} cannot soak"})
    third = len(seen.medians_ms) // 3
    drift = median_ratio(seen.medians_ms[-third:], seen.medians_ms[:third], seed, bench.latency_evidence)
    method = (
        f"medians of the last third of {seconds:g} s without a pause over those of the first, {seen.runs} runs, "
        f"{len(seen.medians_ms)} parts, bootstrap"
    )
    return Taken({"soak_drift": drift.model_copy(update={"method": method})}, notes=_throttling(seen, drift))


def _throttling(seen: SoakFacts, drift: Measurement) -> list[str]:
    """Say whether the device slowed itself down."""
    heat = f", {seen.celsius:.0f} °C at its end" if seen.celsius is not None else ""
    drifted = f"to {drift.value:.3g} times its latency at the start"
    if seen.throttled:
        return [f"The device throttled during the soak, {drifted} (its system says so{heat})."]
    if drift.low is not None and drift.low > SLOWER:
        untold = "" if seen.told else "; its system does not tell of throttling"
        return [f"The device slowed down during the soak, {drifted}{heat}{untold}."]
    return []


def _counted(stretches: tuple[Stretch, ...]) -> list[float]:
    return [(stretch.energy_uj or 0) / 1e6 for stretch in stretches]


def _probe(bench: Bench, artifact: Artifact, stored: Array, **plan: float) -> ProbeFacts:
    asked = ProbePlan.model_validate(
        {"runtime": bench.target.runtime, "threads": bench.measuring.threads, "outputs": False, **plan}
    )
    return bench.run(artifact, stored[:_SAMPLES], asked)[0]
