# SPDX-License-Identifier: Apache-2.0
"""Run a plan in this process: load the file, time it, take its outputs, and see how much memory that took."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.onboard.batch import in_batches
from edgewright.onboard.lasting import soak, stretches
from edgewright.onboard.preprocess import Array, prepare
from edgewright.onboard.tensors import anomaly_score, dequantize_output, quantize_input

if TYPE_CHECKING:
    from edgewright.artifact import ArtifactManifest
    from edgewright.device import ProbePlan
    from edgewright.runtime import Session

#: distinct samples that timed runs go round
_TIMED_SAMPLES = 32
#: prepared inputs held at a time while outputs are taken: what fits a cache is prepared several times as fast
_CHUNK_BYTES = 2**20
#: samples that are run a second time
_REPEATED = 16


def run_plan(
    load: Callable[[], Session], manifest: ArtifactManifest, stored: Array, plan: ProbePlan, *, own_process: bool
) -> tuple[dict[str, Any], Array | None]:
    """Run the plan in this process; memory is taken only in a process of the probe's own.

    Args:
        load: opens the file; the runtime's modules are imported already.
        manifest: how inputs are prepared and outputs are read.
        stored: raw samples (N, …).
        plan: what to do.
        own_process: nothing else happens in this process, so that its memory is the artifact's.

    Returns:
        The fields of ProbeFacts, and float32 outputs when the plan asks for them.
    """
    repeated = plan.invocations or plan.soak_s or plan.stretches
    samples = _timed_samples(stored, manifest) if repeated else []
    idle = _idle_memory() if own_process and plan.invocations else None
    busy = _load_per_core() if plan.invocations else None
    opened = time.perf_counter_ns()
    session = load()
    cold = _first(session, samples, opened) if plan.invocations else None
    batches, why_not = in_batches(session, samples, plan.batch) if samples else ([], "")
    latencies = _time(session, batches, plan) if plan.invocations and batches else []
    peak = _status("VmHWM") if idle is not None else None
    soaked = soak(session, samples, plan.soak_s) if plan.soak_s else None
    if plan.stretches:
        taken, why_not = stretches(session, samples, plan.stretches, counters=plan.counters)
    outputs = _outputs(session, stored, manifest) if plan.outputs else None
    facts = {
        "latencies_ms": latencies,
        "batch": plan.batch,
        "cold_start_ms": cold,
        "load_per_core": busy,
        "peak_memory_bytes": max(peak - idle, 0) if peak is not None and idle is not None else None,
        "arena_bytes": session.arena_bytes() if plan.invocations else None,
        "repeat_difference": _repeat_difference(session, stored, manifest, outputs) if outputs is not None else None,
        "soak": soaked,
        "stretches": taken if plan.stretches else [],
        "why_not": why_not,
    }
    return facts, outputs


def _timed_samples(stored: Array, manifest: ArtifactManifest) -> list[Array]:
    prepared = _prepared(stored[:_TIMED_SAMPLES], manifest)
    return [np.ascontiguousarray(sample[None]) for sample in quantize_input(prepared, manifest.inputs[0])]


def _prepared(stored: Array, manifest: ArtifactManifest) -> Array:
    return prepare(np.asarray(stored), manifest.preprocessing, manifest.inputs[0].layout)


def _first(session: Session, samples: list[Array], opened: int) -> float:
    """Milliseconds from before the file was opened until its first inference has ended."""
    session.run(samples[0])
    return (time.perf_counter_ns() - opened) / 1e6


def _load_per_core() -> float | None:
    """Load average of the last minute over the number of processors; None where the system does not tell."""
    return os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else None


def _time(session: Session, samples: list[Array], plan: ProbePlan) -> list[float]:
    """Milliseconds of each timed run; inputs are prepared beforehand, and nothing is collected in between.

    The clock is monotonic: one that is set meanwhile changes nothing.
    """
    for turn in range(plan.warmup):
        session.run(samples[turn % len(samples)])
    taken = np.zeros(plan.invocations, np.int64)
    gc.disable()
    try:
        for turn in range(plan.invocations):
            sample = samples[turn % len(samples)]
            started = time.perf_counter_ns()
            session.run(sample)
            taken[turn] = time.perf_counter_ns() - started
    finally:
        gc.enable()
    milliseconds: list[float] = (taken / 1e6).tolist()
    return milliseconds


def _outputs(session: Session, stored: Array, manifest: ArtifactManifest) -> Array:
    """Float32 outputs of all samples, as `edgewright.metrics` wants them: (N, K), or (N,) anomaly scores."""
    bytes_each = 4 * max(1, int(np.prod(stored.shape[1:])))
    chunk = max(1, _CHUNK_BYTES // bytes_each)
    return np.concatenate([_chunk(session, stored[at : at + chunk], manifest) for at in range(0, len(stored), chunk)])


def _repeat_difference(session: Session, stored: Array, manifest: ArtifactManifest, outputs: Array) -> float | None:
    """Run the first samples again, backwards: an answer that is another now depends on what was run before it."""
    again = _chunk(session, stored[:_REPEATED][::-1], manifest)[::-1]
    with np.errstate(invalid="ignore"):  # NaN and infinity are found where outputs are judged
        difference = np.abs(again - outputs[: len(again)])
    finite = difference[np.isfinite(difference)]
    return float(finite.max()) if finite.size else None


def _chunk(session: Session, stored: Array, manifest: ArtifactManifest) -> Array:
    prepared = _prepared(stored, manifest)
    ready = np.ascontiguousarray(quantize_input(prepared, manifest.inputs[0]))
    raw = np.concatenate([_as_the_first(session, ready[at : at + 1]) for at in range(len(ready))])
    return as_answers(raw, prepared, manifest)


def _as_the_first(session: Session, sample: Array) -> Array:
    """Run a sample without what earlier ones left behind, where the session can forget."""
    reset = getattr(session, "reset", None)
    if reset is not None:
        reset()
    return session.run(sample)


def as_answers(raw: Array, prepared: Array, manifest: ArtifactManifest) -> Array:
    """Turn raw outputs (N, …) into the float32 outputs a task has: (N, K), or (N,) anomaly scores.

    Args:
        raw: as the file stores them.
        prepared: the float32 inputs they are the answers to.
        manifest: says how the file stores them, and the task.
    """
    outputs = dequantize_output(raw, manifest.outputs[0])
    return anomaly_score(outputs, prepared) if manifest.task == "anomaly" else outputs.reshape(len(outputs), -1)


def _idle_memory() -> int | None:
    """Resident bytes before the file is opened, with the peak set back to them; None where the system cannot."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc_pid_clear_refs(5): resets VmHWM
    except OSError:
        return None
    return _status("VmRSS")


def _status(key: str) -> int | None:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    return None
