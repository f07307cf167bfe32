# SPDX-License-Identifier: Apache-2.0
"""An Android phone through adb, with programs that the user built for it: a runner, and LiteRT's benchmark_model.

Samples are prepared and quantized here, since a phone has no Python. Each run has a folder of its own on the phone; what
arrived is checked by its sha256, and the folder is removed.
"""

import hashlib
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgewright.artifact import ArtifactManifest
from edgewright.config.base import Config
from edgewright.device import Device, ProbeFacts, ProbePlan
from edgewright.errors import ConfigError, EdgewrightError
from edgewright.integrations.devices.adb.facts import look
from edgewright.integrations.devices.adb.link import AdbLink
from edgewright.integrations.devices.adb.options import AdbOptions
from edgewright.integrations.devices.adb.visit import Visit
from edgewright.measure import DeviceFacts, Evidence
from edgewright.onboard.lease import lease
from edgewright.onboard.preprocess import prepare
from edgewright.onboard.probe import as_device_error
from edgewright.onboard.run import as_answers
from edgewright.onboard.tensors import quantize_input
from edgewright.plugins import create, find
from edgewright.progress import stage

_TIMED_SAMPLES = 32


class AdbDevice(Device):
    """A phone."""

    name: ClassVar[str] = "adb"
    evidence: ClassVar[Evidence] = "measured"

    class Options(AdbOptions):
        """Options in `targets[].device_options`."""

    def check(self, runtime: str, options: Config) -> None:
        """Refuse programs that are not there, and benchmark_model for files that are none of LiteRT's.

        Raises:
            ConfigError: one of them.
        """
        assert isinstance(options, AdbOptions)  # noqa: S101 - narrows the type: a device gets its own options
        for key in ("runner", "benchmark_model"):
            file = getattr(options, key)
            if file is not None and not Path(file).is_file():
                raise ConfigError(f"there is no file {file!r}", where=f"device_options.{key}", to_do="build it for the phone")
        if options.benchmark_model and find("runtimes", runtime).format != "tflite":
            raise ConfigError(f"benchmark_model runs .tflite files, and {runtime!r} has others", to_do="leave it out")

    def facts(self, threads: int, options: Config) -> DeviceFacts:
        """Describe the phone.

        Raises:
            DeviceError: it cannot be reached.
        """
        assert isinstance(options, AdbOptions)  # noqa: S101 - as above
        return DeviceFacts(kind=self.name, threads=threads, **look(AdbLink(options)))

    def probe(
        self, file: Path, manifest: ArtifactManifest, inputs: NDArray[Any], plan: ProbePlan, options: Config
    ) -> tuple[ProbeFacts, NDArray[Any] | None]:
        """Run the plan on the phone, once no other probe of this machine runs on it.

        Raises:
            DeviceError: it cannot be reached, a program failed or answered what it should not.
        """
        assert isinstance(options, AdbOptions)  # noqa: S101 - as above
        try:
            runtime = create("runtimes", plan.runtime)
            runtime.inspect(file)
        except EdgewrightError as error:
            raise as_device_error(error) from error
        if plan.soak_s or plan.stretches or plan.batch > 1:
            return ProbeFacts(why_not="on a phone, the runner takes one sample in a run, and runs so many"), None
        stored = np.asarray(inputs if plan.outputs else inputs[:_TIMED_SAMPLES])
        prepared = prepare(stored, manifest.preprocessing, manifest.inputs[0].layout)
        ready = np.ascontiguousarray(quantize_input(prepared, manifest.inputs[0]))
        with tempfile.TemporaryDirectory(prefix="edgewright-adb-") as name, ExitStack() as waiting:
            say = f"Waiting for {options.serial or 'the phone'}: another measurement runs on it"
            with lease(lambda: waiting.enter_context(stage(say)), options.wait, _lock(options)):
                waiting.close()
                with Visit(AdbLink(options), options, Path(name)) as visit:
                    visit.send(file, runtime.files(file), ready)
                    facts = _timed(visit, plan, options) if plan.invocations else ProbeFacts()
                    raw = visit.outputs(len(ready), manifest.outputs[0], plan.threads) if plan.outputs else None
        return facts, None if raw is None else as_answers(raw, prepared, manifest)


def _timed(visit: Visit, plan: ProbePlan, options: AdbOptions) -> ProbeFacts:
    latencies = visit.latencies(plan.threads, plan.warmup, plan.invocations)
    if options.benchmark_model is None:
        return ProbeFacts(latencies_ms=latencies)
    seen = visit.benchmark(plan.threads, plan.warmup, plan.invocations)
    return ProbeFacts(latencies_ms=latencies, cold_start_ms=seen.cold_start_ms, peak_memory_bytes=seen.memory_bytes)


def _lock(options: AdbOptions) -> str:
    return f"edgewright-adb-{hashlib.sha256((options.serial or '').encode()).hexdigest()[:12]}.lock"
