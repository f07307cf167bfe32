# SPDX-License-Identifier: Apache-2.0
"""The device port: carries an artifact and inputs to where it runs, brings back outputs and timings."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray
from pydantic import Field

from edgewright.artifact import ArtifactManifest
from edgewright.config.base import Config
from edgewright.errors import ConfigError
from edgewright.measure import DeviceFacts, Evidence, Frozen
from edgewright.onboard.lasting import STRETCH_S

#: environment variables by which numeric libraries take their number of threads
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class ProbePlan(Frozen):
    """What one fresh process on the device does."""

    runtime: str = Field(description="Name of the runtime, or 'module:Class'.")
    threads: int = 1
    warmup: int = 0
    invocations: int = Field(default=0, description="Timed runs of single samples, round and round the inputs; 0: none.")
    outputs: bool = Field(description="Whether the outputs of all inputs are brought back.")
    batch: int = Field(default=1, description="Samples of one timed run.")
    soak_s: float = Field(default=0, description="Seconds to run without a pause; 0: none.")
    stretches: int = Field(default=0, description="Stretches of a second each, over which energy is taken; 0: none.")
    counters: bool = Field(default=False, description="Whether the processor's own energy counters are read around stretches.")

    @property
    def lasts_s(self) -> float:
        """Seconds that the plan itself asks for, beside what loading and counted runs take."""
        return self.soak_s + STRETCH_S * self.stretches


class SoakFacts(Frozen):
    """What a device did that ran without a pause."""

    medians_ms: tuple[float, ...] = Field(description="Median latency of each part of the soak, parts of one length.")
    runs: int
    throttled: tuple[str, ...] = Field(default=(), description="Files of the system that told of throttling meanwhile.")
    told: bool = Field(default=False, description="Whether the system tells of throttling at all.")
    celsius: float | None = Field(default=None, description="Hottest temperature at its end, where the system tells.")
    why_not: str = Field(default="", description="Why there are no medians.")


class Stretch(Frozen):
    """Inferences without a pause, over which energy is taken."""

    started_s: float = Field(description="Unix time of the device's clock.")
    ended_s: float
    seconds: float = Field(description="By a monotonic clock: the other one may be set meanwhile.")
    inferences: int
    energy_uj: int | None = Field(default=None, description="By the processor's counters; None: not asked.")


class ProbeFacts(Frozen):
    """What one fresh process saw."""

    latencies_ms: tuple[float, ...] = ()
    batch: int = Field(default=1, description="Samples of one timed run.")
    cold_start_ms: float | None = Field(default=None, description="Opening the file and its first inference; None: not timed.")
    load_per_core: float | None = Field(
        default=None, description="Load average over cores before it was timed, where it is told."
    )
    peak_memory_bytes: int | None = Field(
        default=None,
        description="Peak resident memory above the process's own just before it opened the file; None where unknown.",
    )
    arena_bytes: int | None = Field(default=None, description="Exact tensor arena, where the runtime knows it.")
    repeat_difference: float | None = Field(
        default=None,
        description="Largest difference of any output when the first samples are run again after all others; None: not tried.",
    )
    soak: SoakFacts | None = None
    stretches: tuple[Stretch, ...] = ()
    why_not: str = Field(default="", description="Why a batch or stretches that were asked for were not run.")


class Device(ABC):
    """Somewhere an artifact can run."""

    name: ClassVar[str]
    requires: ClassVar[tuple[str, ...]] = ()
    install: ClassVar[str] = ""
    evidence: ClassVar[Evidence] = "measured"
    """'emulated' when it only imitates the hardware."""
    on_this_machine: ClassVar[bool] = False
    """Whether it runs files with what is installed here: a file lowered for a processor that is not here is refused at once."""
    timed: ClassVar[bool] = True
    """Whether times and memory taken on it tell anything of what it stands for; an emulated processor's do not."""
    commands: ClassVar[tuple[str, ...]] = ()
    """Programs of which one has to be on PATH; ``install`` says the line that brings it."""
    recorded: ClassVar[bool] = False
    """Whether it answers from what a board did before, with the target's own kernels: what a runtime says of running here
    does not count, and asked again it says the same."""

    class Options(Config):
        """Options of the device in `targets[].device_options`; subclasses add fields."""

    def check(self, runtime: str, options: Config) -> None:  # noqa: B027 - most devices run what is installed
        """Refuse, before anything is trained, a target that this device can never run.

        Args:
            runtime: name of the runtime, or 'module:Class'.
            options: this device's Options.

        Raises:
            ConfigError: it cannot run files of this runtime.
        """

    def prepare(self, runtimes: tuple[str, ...]) -> str:  # noqa: ARG002 - the port's signature
        """Bring to this machine what the device needs beside Python packages; what is there already stays.

        Args:
            runtimes: names of those it is to run beside the usual ones.

        Returns:
            What is there now, in a sentence.

        Raises:
            ConfigError: the device needs nothing, or cannot run such a runtime.
            DeviceError: it could not be fetched.
        """
        raise ConfigError(f"device {self.name!r} needs no preparation", to_do="use it as it is")

    def state(self, options: Config) -> str:  # noqa: ARG002 - the port's signature
        """Say what answers hang on beside the device's code and options, such as files; a change takes them anew."""
        return ""

    @abstractmethod
    def facts(self, threads: int, options: Config) -> DeviceFacts:
        """Describe the device: the fingerprint that every measurement carries.

        Raises:
            DeviceError: the device cannot be asked.
        """

    @abstractmethod
    def probe(
        self, file: Path, manifest: ArtifactManifest, inputs: NDArray[Any], plan: ProbePlan, options: Config
    ) -> tuple[ProbeFacts, NDArray[Any] | None]:
        """Run the plan in one fresh process.

        Args:
            file: main file of the artifact.
            manifest: what the file claims; the probe prepares inputs and reads outputs by it.
            inputs: raw, stored samples (N, …), as the sensor gives them; preprocessing happens on the device.
            plan: what to do.
            options: this device's Options.

        Returns:
            The facts, and float32 outputs (N, …) when the plan asks for them.

        Raises:
            DeviceError: the process died or did not answer; the last lines it printed are in the message.
        """
