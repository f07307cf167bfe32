# SPDX-License-Identifier: Apache-2.0
"""Validate an exported file on its device: is it what it claims, what does it answer, how fast, in how much memory.

Latency and memory are taken in fresh processes in turn with the float parent's, so that both see the same machine.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.artifact import Artifact
from edgewright.bench import Bench, Timings, bench_of, time_in_turn
from edgewright.claims import check_claims
from edgewright.config.data import SplitName
from edgewright.config.gate import Measuring
from edgewright.config.target import Target
from edgewright.data.dataset import Dataset
from edgewright.errors import ExportError
from edgewright.lasting import Taken, energy, lasting
from edgewright.measure import Measurement, weakest
from edgewright.metrics import metric as find_metric
from edgewright.onboard.preprocess import prepare
from edgewright.parity import compare_outputs
from edgewright.progress import stage
from edgewright.sanity import COMPARED, examine
from edgewright.stats.quantile import latency_measurements
from edgewright.stats.ratio import median_ratio
from edgewright.stats.score import metric_measurement
from edgewright.validation import Sanity, ValidationFacts, ValidationRun

Array = NDArray[Any]
Measurements = dict[str, Measurement]


def validate_artifact(
    artifact: Artifact,
    parent: Artifact | None,
    dataset: Dataset,
    split: SplitName,
    baseline_outputs: Array | None,
    target: Target,
    metric: str,
    measuring: Measuring,
    seed: int,
    out: Path,
    timing: bool = True,
) -> ValidationRun:
    """Run one artifact on its target's device over one split.

    Args:
        artifact: what is validated.
        parent: the float file it was made from, timed in turn with it, by its own runtime where that is another; None
            where there is none.
        dataset: where samples and labels come from.
        split: which of its splits.
        baseline_outputs: the float model's outputs of the split, in its framework; None where there are none: then the
            file is compared with itself.
        target: names runtime and device.
        metric: name of the task's metric, or 'module:function'.
        measuring: how latency and memory are taken.
        seed: of the resampling behind intervals.
        out: empty folder the run is written into.
        timing: False takes no latency and no memory; what else the target asks for (batches, soak, energy) is taken.

    Raises:
        ExportError: the file is not what its manifest claims, or its outputs are not usable numbers.
        DeviceError: the device could not run the file.
        StoreError: a file of the artifact is missing or was changed.
    """
    bench = bench_of(target, measuring)
    stored = dataset.stored(split)
    with stage(f"Validating {artifact.facts.recipe} for {target.name} on {split} data"):
        check_claims(artifact, bench.runtime, stored)
        probed, brought = bench.probe(artifact, stored, timing=False)
        outputs = finite(brought)
        compared = outputs if baseline_outputs is None else baseline_outputs
        parity = compare_outputs(outputs, compared, dataset.card.task, artifact.facts.outputs[0])
        sanity = _examine(artifact, dataset, split, outputs, baseline_outputs, probed.repeat_difference)
        timed = timing and bench.timed
        own, floats = time_in_turn(bench, artifact, parent, stored) if timed else (Timings(), Timings())
        more, spent = lasting(bench, artifact, stored, seed), energy(bench, artifact, stored)
        more.add(spent)
        measurements = _measurements(bench, artifact, own) | more.measurements
        parents = _of_parent(bench, parent, floats, stored)
        score = metric_measurement(find_metric(metric), dataset.labels(split), outputs, seed, bench.output_evidence)
        facts = ValidationFacts(
            target=target.name,
            recipe=artifact.facts.recipe,
            artifact=artifact.digest,
            split=split,
            measurements={metric: score, **measurements},
            parent=parents,
            ratios=_ratios(measurements, parents, own, floats, seed, bench),
            parity=parity,
            sanity=sanity,
            device=bench.facts(),
            unknown=more.unknown,
            notes=tuple(more.notes),
        )
    np.save(out / "outputs.npy", outputs, allow_pickle=False)
    np.savez(out / "latencies.npz", artifact=np.asarray(own.latencies_ms), parent=np.asarray(floats.latencies_ms))
    return ValidationRun.seal(out, facts)


def _of_parent(bench: Bench, parent: Artifact | None, floats: Timings, stored: Array) -> Measurements:
    """What is taken of the float parent, by its own runtime; nothing where there is none."""
    if parent is None:
        return {}
    its = bench.for_file(parent)
    spent = energy(its, parent, stored) if its.runtime.runs_float else Taken()
    return _measurements(its, parent, floats) | spent.measurements


def finite(outputs: Array | None) -> Array:
    """Pass outputs on, once they are numbers: a metric would count the argmax of NaN as an answer."""
    if outputs is None:
        raise ExportError("the device brought back no outputs", to_do="report this to the author of the device integration")
    bad = int(outputs.size - np.isfinite(outputs).sum())
    if bad:
        raise ExportError(
            f"{bad} of {outputs.size} outputs are NaN or infinite",
            to_do="float16 overflows above 65504: try another recipe; if float32 does it too, the export is broken",
        )
    return outputs


def _examine(
    artifact: Artifact, dataset: Dataset, split: SplitName, outputs: Array, expected: Array | None, repeat: float | None
) -> Sanity:
    """Look for faults that need no float model; inputs are those of as many samples as the look needs."""
    manifest, task = artifact.facts, dataset.card.task
    inputs = prepare(np.asarray(dataset.stored(split)[:COMPARED]), manifest.preprocessing, manifest.inputs[0].layout)
    labels = dataset.labels(split) if task == "classification" else None
    return examine(outputs, inputs, manifest.outputs[0], task, expected, labels, repeat)


def _measurements(bench: Bench, artifact: Artifact, timings: Timings) -> Measurements:
    size = Measurement(value=artifact.facts.size_bytes, unit="bytes", n=1, evidence="measured", method=_stored(artifact))
    package = artifact.facts.package
    taken = {"size_bytes": size, **(package.estimates if package else {})}
    if timings.latencies_ms:
        taken |= {
            name: one.model_copy(update={"method": one.method + timings.busy})
            for name, one in latency_measurements(timings.latencies_ms, bench.latency_evidence).items()
        }
    if timings.cold_starts_ms:
        taken["cold_start_ms"] = Measurement(
            value=float(np.median(timings.cold_starts_ms)),
            unit="ms",
            n=len(timings.cold_starts_ms),
            low=min(timings.cold_starts_ms),
            high=max(timings.cold_starts_ms),
            evidence=bench.latency_evidence,
            method=f"opening the file and its first inference, median of {len(timings.cold_starts_ms)} processes"
            + timings.busy,
        )
    bytes_seen, method = (
        (timings.arenas, "tensor arena") if timings.arenas else (timings.peaks, "peak resident memory above the idle process")
    )
    if bytes_seen:
        taken["peak_memory_bytes"] = Measurement(
            value=max(bytes_seen),
            unit="bytes",
            n=len(bytes_seen),
            low=min(bytes_seen),
            high=max(bytes_seen),
            evidence=bench.memory_evidence,
            method=f"{method}, largest of {len(bytes_seen)} processes",
        )
    return taken


def _stored(artifact: Artifact) -> str:
    package = artifact.facts.package
    return f"{package.stored or artifact.facts.file}, which the device stores" if package else "all files of the artifact"


def _ratios(
    measurements: Measurements, parents: Measurements, own: Timings, floats: Timings, seed: int, bench: Bench
) -> Measurements:
    ratios = {}
    if own.latencies_ms and floats.latencies_ms:
        ratios["latency_p50_ms"] = median_ratio(own.latencies_ms, floats.latencies_ms, seed, bench.latency_evidence)
    for name in ("size_bytes", "peak_memory_bytes", "energy_mj"):
        mine, its = measurements.get(name), parents.get(name)
        alike = mine is not None and its is not None and (mine.method == its.method or name == "energy_mj")
        if mine is not None and its is not None and its.value > 0 and alike:
            ratios[name] = Measurement(
                value=mine.value / its.value,
                unit="ratio",
                n=min(mine.n, its.n),
                evidence=weakest(mine.evidence, its.evidence),
                method="artifact over float parent",
            )
    return ratios
