# SPDX-License-Identifier: Apache-2.0
"""What runs on the device: `python -m edgewright.probe FOLDER` loads one file, times it, and takes its outputs.

FOLDER holds request.json and inputs.npy (raw stored samples); facts.json and outputs.npy are written into it, or
error.json. A process of its own makes its peak memory the artifact's own.
"""

import ctypes
import gc
import importlib
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.artifact import ArtifactManifest
from edgewright.data.preprocess import prepare
from edgewright.device import ProbeFacts, ProbePlan
from edgewright.errors import DeviceError, EdgewrightError, ToolkitMissing
from edgewright.measure import Frozen
from edgewright.metrics import anomaly_score
from edgewright.plugins import find, missing
from edgewright.runtime import Runtime, Session, dequantize_output, quantize_input

Array = NDArray[Any]
REQUEST, INPUTS, FACTS, OUTPUTS, ERROR = "request.json", "inputs.npy", "facts.json", "outputs.npy", "error.json"
#: distinct samples that timed runs go round
_TIMED_SAMPLES = 32
#: prepared inputs held at a time while outputs are taken: what fits a cache is prepared several times as fast
_CHUNK_BYTES = 2**20
_PR_SET_PDEATHSIG = 1


class ProbeRequest(Frozen):
    """What one probe is asked to do."""

    file: str
    """Main file of the artifact; relative to the folder of the request, or absolute."""
    manifest: ArtifactManifest
    plan: ProbePlan


def run_plan(
    file: Path, manifest: ArtifactManifest, stored: Array, plan: ProbePlan, *, own_process: bool
) -> tuple[ProbeFacts, Array | None]:
    """Run the plan in this process; memory is taken only in a process of the probe's own.

    Args:
        file: main file of the artifact.
        manifest: how inputs are prepared and outputs are read.
        stored: raw samples (N, …).
        plan: what to do.
        own_process: nothing else happens in this process, so that its memory is the artifact's.
    """
    runtime = import_runtime(plan.runtime)
    samples = _timed_samples(stored, manifest) if plan.invocations else None
    idle = _idle_memory() if own_process and plan.invocations else None
    session = runtime.load(file, plan.threads)
    latencies = _time(session, samples, plan) if samples is not None else ()
    peak = _status("VmHWM") if idle is not None else None
    facts = ProbeFacts(
        latencies_ms=latencies,
        peak_memory_bytes=max(peak - idle, 0) if peak is not None and idle is not None else None,
        arena_bytes=session.arena_bytes() if plan.invocations else None,
    )
    return facts, _outputs(session, stored, manifest) if plan.outputs else None


def import_runtime(name: str) -> Runtime:
    """Return a runtime with all that running needs imported.

    Raises:
        ConfigError: no runtime has this name.
        ToolkitMissing: a toolkit that running needs is not installed.
    """
    plugin = find("runtimes", name)
    needed = plugin.runs_with or plugin.requires
    lacking = [module for module in missing(plugin) if module in needed]
    if lacking:
        raise ToolkitMissing.of(f"runtime {name!r}", lacking, plugin.install)
    for module in needed:
        importlib.import_module(module)
    runtime: Runtime = plugin()
    return runtime


def _timed_samples(stored: Array, manifest: ArtifactManifest) -> list[Array]:
    prepared = _prepared(stored[:_TIMED_SAMPLES], manifest)
    return [np.ascontiguousarray(sample[None]) for sample in quantize_input(prepared, manifest.inputs[0])]


def _prepared(stored: Array, manifest: ArtifactManifest) -> Array:
    return prepare(np.asarray(stored), manifest.preprocessing, manifest.inputs[0].layout)


def _time(session: Session, samples: list[Array], plan: ProbePlan) -> tuple[float, ...]:
    """Milliseconds of each timed run; inputs are prepared beforehand, and nothing is collected in between."""
    for turn in range(plan.warmup):
        session.run(samples[turn % len(samples)])
    taken = np.zeros(plan.invocations, np.int64)
    gc.collect()
    gc.disable()
    try:
        for turn in range(plan.invocations):
            sample = samples[turn % len(samples)]
            started = time.perf_counter_ns()
            session.run(sample)
            taken[turn] = time.perf_counter_ns() - started
    finally:
        gc.enable()
    return tuple((taken / 1e6).tolist())


def _outputs(session: Session, stored: Array, manifest: ArtifactManifest) -> Array:
    """Float32 outputs of all samples, as `edgewright.metrics` wants them: (N, K), or (N,) anomaly scores."""
    bytes_each = 4 * max(1, int(np.prod(stored.shape[1:])))
    chunk = max(1, _CHUNK_BYTES // bytes_each)
    return np.concatenate([_chunk(session, stored[at : at + chunk], manifest) for at in range(0, len(stored), chunk)])


def _chunk(session: Session, stored: Array, manifest: ArtifactManifest) -> Array:
    prepared = _prepared(stored, manifest)
    ready = np.ascontiguousarray(quantize_input(prepared, manifest.inputs[0]))
    raw = [session.run(ready[at : at + 1]) for at in range(len(ready))]
    outputs = dequantize_output(np.concatenate(raw), manifest.outputs[0])
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


def _end_with_parent() -> None:
    """On Linux, have the kernel end this process when the one that started it ends (PR_SET_PDEATHSIG in prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def as_device_error(error: Exception) -> DeviceError:
    """Say of any error of runtime or file that the device could not do it, keeping its own words."""
    if isinstance(error, EdgewrightError):
        return DeviceError(error.what, where=error.where, to_do=error.to_do)
    return DeviceError(f"{type(error).__name__}: {error}", to_do="the runtime failed on this file; try another recipe")


def error_of(page: Path) -> DeviceError:
    """Read the error that a probe left in error.json."""
    return DeviceError(**json.loads(page.read_text(encoding="utf-8")))


def main(folder: Path) -> int:
    """Serve the request in ``folder``; 0 when its answer is there, 3 when error.json says why not."""
    _end_with_parent()
    try:
        request = ProbeRequest.model_validate_json((folder / REQUEST).read_bytes())
        stored = np.load(folder / INPUTS, mmap_mode="r", allow_pickle=False)
        facts, outputs = run_plan(folder / request.file, request.manifest, stored, request.plan, own_process=True)
        if outputs is not None:
            np.save(folder / OUTPUTS, outputs, allow_pickle=False)
        (folder / FACTS).write_text(facts.model_dump_json(), encoding="utf-8")
    except Exception as error:  # whatever it is, the process that asked has to be told
        told = as_device_error(error)
        (folder / ERROR).write_text(json.dumps({"what": told.what, "where": told.where, "to_do": told.to_do}), encoding="utf-8")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
