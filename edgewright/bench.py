# SPDX-License-Identifier: Apache-2.0
"""The bench: a target's device and runtime, ready to run files on, and to time two of them in turn.

Each timing is a fresh process, and the two files take turns, so that both see the same machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray
from pydantic import ValidationError

from edgewright.artifact import Artifact
from edgewright.config.base import Config
from edgewright.config.gate import Measuring
from edgewright.config.target import Target
from edgewright.device import Device, ProbeFacts, ProbePlan
from edgewright.errors import ConfigError, DeviceError
from edgewright.formats import runtime_of_format
from edgewright.measure import DeviceFacts, Evidence, weakest
from edgewright.plugins import create
from edgewright.progress import stage
from edgewright.runtime import Runtime
from edgewright.stats.quantile import PERCENTILES

Array = NDArray[Any]
BUSY = 1.0
"""Load average a core above which something else was waiting for the processors that the timed process had."""
#: stored samples that are carried to a timing probe
_TIMING_SAMPLES = 32


@dataclass(frozen=True)
class Bench:
    """Where everything is run, and how."""

    device: Device
    options: Config
    runtime: Runtime
    target: Target
    measuring: Measuring

    def probe(self, artifact: Artifact, stored: Array, *, timing: bool) -> tuple[ProbeFacts, Array | None]:
        """Run stored samples in one fresh process: timed, or else for their outputs.

        Raises:
            DeviceError: the device could not run the file.
        """
        plan = ProbePlan(
            runtime=self.target.runtime,
            threads=self.measuring.threads,
            warmup=self.measuring.warmup if timing else 0,
            invocations=self.measuring.invocations if timing else 0,
            outputs=not timing,
        )
        return self.run(artifact, stored, plan)

    def facts(self) -> DeviceFacts:
        """Describe the device; one of a fleet has its name there.

        Raises:
            DeviceError: the device cannot be asked.
        """
        with self._named_in_errors():
            facts = self.device.facts(self.measuring.threads, self.options)
        return facts.model_copy(update={"name": self.target.member}) if self.target.fleet else facts

    def run(self, artifact: Artifact, stored: Array, plan: ProbePlan) -> tuple[ProbeFacts, Array | None]:
        """Run a plan in one fresh process.

        Raises:
            DeviceError: the device could not run the file.
        """
        with self._named_in_errors():
            return self.device.probe(artifact.main_file, artifact.facts, stored, plan, self.options)

    @contextmanager
    def _named_in_errors(self) -> Iterator[None]:
        """Say which device of a fleet it was."""
        try:
            yield
        except DeviceError as error:
            if not self.target.fleet:
                raise
            raise DeviceError(f"{self.target.member}: {error.what}", where=error.where, to_do=error.to_do) from error

    def for_file(self, artifact: Artifact) -> "Bench":
        """The same device with the runtime that runs this file: a float file may be of another format than the target's."""
        if artifact.facts.format == self.runtime.format:
            return self
        name = runtime_of_format(artifact.facts.format)
        return replace(self, runtime=create("runtimes", name), target=self.target.model_copy(update={"runtime": name}))

    @property
    def output_evidence(self) -> Evidence:
        """Of accuracy and parity taken here."""
        return self._evidence("emulated" if self._emulates else self.runtime.output_evidence)

    @property
    def latency_evidence(self) -> Evidence:
        """Of latencies taken here."""
        return self._evidence(None if self._emulates else self.runtime.latency_evidence)

    @property
    def memory_evidence(self) -> Evidence:
        """Of memory taken here."""
        return self._evidence(None if self._emulates else self.runtime.memory_evidence)

    @property
    def timed(self) -> bool:
        """Whether running the file here tells anything of the target's time and memory."""
        return self.device.timed and self.latency_evidence != "estimated"

    @property
    def processes(self) -> int:
        """How often a file is timed; a recording says the same each time."""
        return 1 if self.device.recorded else self.measuring.processes

    @property
    def _emulates(self) -> bool:
        return self.device.on_this_machine and self.runtime.emulated_here()

    def _evidence(self, of_runtime: Evidence | None) -> Evidence:
        if self.device.recorded:
            return self.device.evidence
        return weakest(self.device.evidence, of_runtime or "estimated")


@dataclass
class Timings:
    """What the processes of one file saw."""

    latencies_ms: list[float] = field(default_factory=list)
    cold_starts_ms: list[float] = field(default_factory=list)
    loads_per_core: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    arenas: list[int] = field(default_factory=list)

    @property
    def busy(self) -> str:
        """Words for times that were taken while the device had more to do than its processors could; else none."""
        load = max(self.loads_per_core, default=0.0)
        return f"; the device was busy: load average {load:.1f} a core" if load > BUSY else ""

    def add(self, facts: ProbeFacts) -> None:
        """Add what one process saw."""
        self.latencies_ms.extend(facts.latencies_ms)
        self.cold_starts_ms.extend(value for value in [facts.cold_start_ms] if value is not None)
        self.loads_per_core.extend(value for value in [facts.load_per_core] if value is not None)
        self.peaks.extend(value for value in [facts.peak_memory_bytes] if value is not None)
        self.arenas.extend(value for value in [facts.arena_bytes] if value is not None)


def bench_of(target: Target, measuring: Measuring) -> Bench:
    """Return the bench of a target; of a fleet, that of its first device.

    Raises:
        ConfigError: its device takes no such option, or cannot tell what the budget limits.
    """
    runtime, device = create("runtimes", target.runtime), create("devices", target.device)
    check_limits(target, device, f"target {target.name}")
    try:
        options = device.Options.model_validate(target.options_of_device)
    except ValidationError as error:
        first = error.errors()[0]
        given = f"fleet.{target.member}" if target.fleet else "device_options"
        where = ".".join(str(part) for part in (given, *first["loc"]))
        raise ConfigError(first["msg"], where=f"target {target.name}: {where}") from None
    return Bench(device, options, runtime, target, measuring)


def check_limits(target: Target, device: Device, where: str) -> None:
    """Make sure that a device that can tell neither time nor memory nor energy is not asked to keep a limit on them.

    Raises:
        ConfigError: it is.
    """
    if device.timed:
        return
    limits = [name for name in (*PERCENTILES, "peak_memory_bytes", "energy_mj") if getattr(target.budget, name) is not None]
    asked = [f"budget.{name}" for name in limits]
    if target.objective in ("fastest", "least_memory"):
        asked.append(f"objective: {target.objective}")
    if asked:
        raise ConfigError(
            f"{target.device!r} emulates a processor: it says what a file answers there, and nothing of time, memory or energy",
            where=f"{where}: {', '.join(asked)}",
            to_do="leave it out here, and hold it on a real device, with a target of its own",
        )


def time_in_turn(bench: Bench, artifact: Artifact, parent: Artifact | None, stored: Array) -> tuple[Timings, Timings]:
    """Time a file and its parent on stored samples, process by process in turn; the file alone where no float file runs.

    A parent of another format is run by its own runtime.

    Raises:
        DeviceError: the device could not run one of them, or was busy where `under_load` is 'refuse'.
    """
    own, floats = Timings(), Timings()
    turns = [(bench, artifact, own)]
    if parent is not None and (theirs := bench.for_file(parent)).runtime.runs_float:
        turns.append((theirs, parent, floats))
    samples = stored[:_TIMING_SAMPLES]
    what = artifact.facts.recipe + (" and its float parent" if len(turns) > 1 else "")
    with stage(f"Timing {what}", bench.processes * len(turns)) as advance:
        for _ in range(bench.processes):
            for at, file, timings in turns:
                timings.add(at.probe(file, samples, timing=True)[0])
                _refuse_load(bench, timings)
                advance()
    return own, floats


def _refuse_load(bench: Bench, timings: Timings) -> None:
    if timings.busy and bench.measuring.under_load == "refuse":
        raise DeviceError(
            f"no latency was taken on {bench.target.member or bench.device.name}{timings.busy}",
            where="measuring.under_load: refuse",
            to_do="stop what else runs there and try again in a minute, or set it to mark",
        )
