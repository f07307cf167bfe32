# SPDX-License-Identifier: Apache-2.0
"""The runtime port: what writes an exported file, reads it back, and executes it.

A third-party runtime is one class in one file, used as `runtime: my_module:MyRuntime`, published by an entry
point in the group `edgewright.runtimes`, and proven by subclassing `edgewright.testing.RuntimeContract`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from edgewright.artifact import ArtifactManifest, PackageFacts, TensorSpec
from edgewright.config.base import Config
from edgewright.config.data import Task
from edgewright.errors import ExportError
from edgewright.measure import Evidence
from edgewright.onboard.refusals import refusals, said
from edgewright.onboard.tensors import dequantize_output, quantize_input

Array = NDArray[Any]


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a file, as the file itself declares them."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class OperatorUse:
    """One operator of a file, where it is used."""

    kind: str
    """As the format calls it: 'CONV_2D'; a custom operator's own name."""
    layer: str
    """Module of the framework's model it comes from ('3.body.0'); or the one it stands behind: 'after 3.body.0'."""
    output: str
    """Name of its first output, as the file has it."""
    tensors: tuple[TensorSpec, ...] = ()
    """Inputs and outputs that are not constants."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """By the names of the format's schema: {'dilationWFactor': 1}."""

    def __str__(self) -> str:
        return f"{self.kind} ({self.layer})" if self.layer else self.kind


class Session(Protocol):
    """A loaded file, ready to run.

    One whose file keeps state has `reset()` as well, which forgets it: outputs are taken as if each sample were the first.
    One that can take batches has `resize(batch: int)`: from then on `run` takes and returns (batch, …); an ExportError says
    why this file cannot.
    """

    def run(self, sample: Array) -> Array:
        """Run one stored-dtype sample with its batch dimension (1, …); return the raw first output (1, …)."""

    def arena_bytes(self) -> int | None:
        """Exact bytes of the tensor arena, where the runtime knows it; None elsewhere."""


@dataclass(frozen=True)
class PassRequest:
    """What a file pass gets: the float file, where to write, calibration inputs and the pass's options."""

    parent: Path
    out: Path
    calibration: Array
    """Preprocessed float32 inputs (N, …) in the layout of the parent file's input."""
    options: Any
    """The pass's config type, such as PtqW8A8."""
    held_back: Array | None = None
    """Further inputs, none of them in ``calibration``, on which a pass that chooses may compare; None for all others."""
    task: Task = "classification"
    """Whether outputs name a class to agree on, or are values."""
    model: Any = None
    """The live model that the float file was exported from, where the runtime ``converts_models``; None for all others."""
    symmetric: bool = False
    """Whether what executes the file knows no zero points: all are 0, and what is no input or weight of a layer stays float."""


FilePass = Callable[[PassRequest], dict[str, Any] | None]
"""Writes the new file; returns what it chose by itself, for the manifest: {'calibration': 'entropy', 'kept_float': [...]}."""


@dataclass(frozen=True)
class Onboard:
    """How a runtime executes files on a device that has no edgewright: its modules are packed into the probe."""

    modules: tuple[str, ...]
    """Their names. The first has ``open_session(file: Path, threads: int) -> Session``, and may have ``prepare(file: Path)``
    as `Runtime.prepare`; all import the standard library, numpy, `edgewright.onboard`, each other, and what they need,
    alone, and run with Python 3.9."""
    install: str
    """The pip line that brings to the device what they need."""
    needs: tuple[str, ...] = ()
    """What they need there, where it is not what the runtime ``runs_with`` on the exporting machine."""


class Runtime(ABC):
    """Executes exported files of one format."""

    name: ClassVar[str]
    format: ClassVar[str]
    suffix: ClassVar[str]
    companions: ClassVar[tuple[str, ...]] = ()
    """Suffixes of files that belong to the main file and lie beside it under its name: OpenVINO's weights are in '.bin'."""
    requires: ClassVar[tuple[str, ...]]
    """Importable modules it needs to export and run."""
    install: ClassVar[str]
    """The pip line that brings them."""
    runs_with: ClassVar[tuple[str, ...]] = ()
    """The part of ``requires`` that running alone needs: a probe imports it before it takes idle memory. Empty: all of it."""
    onboard: ClassVar[Onboard | None] = None
    """How it runs on other machines, and in a lean process here; None: only where edgewright is installed. A class that
    brings a `load` of its own has none of its parent's."""
    frameworks: ClassVar[tuple[str, ...]] = ("pytorch",)
    """Frameworks whose models it can export."""
    exports_with: ClassVar[str | None] = None
    """Name of the runtime whose exports this one executes, when it has none of its own (TFLite Micro: LiteRT)."""
    own_passes: ClassVar[bool] = False
    """Whether its passes write other files than those of the runtime in ``exports_with``: targets of the two share none."""
    output_evidence: ClassVar[Evidence] = "measured"
    """'emulated' when the target computes with other kernels than the ones that run here."""
    latency_evidence: ClassVar[Evidence | None] = "measured"
    """'emulated' when its speed on the measuring device says nothing of the target (an MCU interpreter on a PC); 'estimated'
    when only the compiler can tell, and None when nobody can: then nothing is timed, and no memory is taken."""
    memory_evidence: ClassVar[Evidence | None] = "measured"
    hardware: ClassVar[str] = ""
    """What executes its files, beside a processor; `emulated_here` says whether it is missing on this machine."""
    runs_float: ClassVar[bool] = True
    takes_quantized: ClassVar[bool] = False
    """Whether it exports models that were trained with their quantization (`qat_w8a8`), scales and all."""
    converts_models: ClassVar[bool] = False
    """Whether its passes need the live model beside the float file: it quantizes before it lowers, and no file goes back."""
    channel_multiple: ClassVar[int] = 1
    """Channels that its kernels take in one go: pruning for it leaves multiples of this."""

    class Options(Config):
        """Options of the runtime in `targets[].options`; subclasses add fields."""

    def __init_subclass__(cls) -> None:
        """Keep a parent's way of opening files from being taken for this class's own."""
        super().__init_subclass__()
        if "load" in vars(cls) and "onboard" not in vars(cls):
            cls.onboard = None

    @property
    @abstractmethod
    def passes(self) -> Mapping[type[Any], FilePass]:
        """Pass config type to the one function that performs it on an exported file."""

    @abstractmethod
    def export(self, model: Any, example: Array, out: Path, options: Config) -> None:
        """Write a live framework model (in inference mode) as a float file with a batch of one (or a free batch).

        Args:
            model: the framework's own object, such as an ``nn.Module``.
            example: one float32 sample with batch dimension, in the framework's layout.
            out: file to write.
            options: this runtime's Options.

        Raises:
            ExportError: the toolkit refused the model; the message names the operator where it is known.
        """

    def export_quantized(self, model: Any, example: Array, out: Path, options: Config) -> None:  # noqa: ARG002
        """Write a model that was trained with its quantization as an integer file with the very scales it was trained with.

        Args:
            model: what the framework's ``load`` returns for a candidate whose facts say ``quantized``.
            example: one float32 sample with batch dimension, in the framework's layout.
            out: file to write.
            options: this runtime's Options.

        Raises:
            ExportError: the toolkit refused the model, or left a layer in float.
        """
        raise ExportError(f"{self.name} takes no models trained with quantization", where=str(out), to_do="use ptq_w8a8")

    @abstractmethod
    def inspect(self, file: Path) -> Signature:
        """Read what the file declares: names, shapes, dtypes, layout of the inputs, quantization.

        Raises:
            ExportError: the file is not readable as this format (cut short, or another format).
        """

    @abstractmethod
    def load(self, file: Path, threads: int) -> Session:
        """Load a file once, to run it many times.

        Raises:
            ExportError: the runtime refuses the file; the message names the operator where it is known.
        """

    def prepare(self, file: Path) -> None:  # noqa: B027 - most formats are opened as they are
        """Make of a file, once on a machine and before anything is timed, what `load` opens: compiled for that very machine.

        Raises:
            ExportError: the compiler refuses the file.
        """

    def emulated_here(self) -> bool:
        """Whether something else computes on this machine what files answer, since the ``hardware`` is not here.

        Then outputs are emulated and nothing is timed; other devices execute the files.
        """
        return False

    def why_not_here(self, options: Config) -> str:  # noqa: ARG002
        """Say why files exported with these options cannot run on the machine that exports them; empty where they can.

        Such a file is written and inspected, and never loaded here: only a device elsewhere can say what it answers.
        """
        return ""

    @classmethod
    def files(cls, file: Path) -> tuple[Path, ...]:
        """Return all files that a main file is made of: itself first, then its companions."""
        return file, *(file.with_suffix(suffix) for suffix in cls.companions)

    def packages(self, options: Config) -> bool:  # noqa: ARG002
        """Whether, with these options, more is made of a file for the target than the file itself; see `package`."""
        return False

    def package(self, file: Path, manifest: ArtifactManifest, options: Config) -> PackageFacts:  # noqa: ARG002
        """Write beside a finished file what the target itself takes: the file compiled, or sources around it.

        Args:
            file: main file of the artifact; its folder takes what is written.
            manifest: what the file declares, and how samples are prepared.
            options: this runtime's Options.

        Raises:
            ExportError: the compiler refused the file; operator and layer are named.
        """
        raise ExportError(f"{self.name} makes nothing more of a file", where=str(file))

    def without_saturation(self, file: Path, out: Path) -> dict[str, Any]:  # noqa: ARG002
        """Write a file with the same answers for processors on which sums of 8-bit products saturate (x86-64 without VNNI).

        Args:
            file: main file of an artifact.
            out: file to write.

        Returns:
            What was changed, for the manifest; empty, with nothing written, where nothing in the file can saturate.

        Raises:
            ExportError: the file is not readable.
        """
        return {}

    def operators(self, file: Path) -> list[OperatorUse]:
        """Read the operators of a file this runtime writes, in the order they are executed.

        Raises:
            ExportError: the file is not readable, or the runtime cannot tell.
        """
        raise ExportError(f"{self.name} does not list operators", where=str(file))

    def supports(self, kind: str) -> bool:
        """Whether a pass, by its kind, can be performed for this runtime."""
        return any(config.model_fields["kind"].default == kind for config in self.passes)


__all__ = [
    "FilePass",
    "Onboard",
    "OperatorUse",
    "PassRequest",
    "Runtime",
    "Session",
    "Signature",
    "dequantize_output",
    "quantize_input",
    "refusals",
    "said",
]
