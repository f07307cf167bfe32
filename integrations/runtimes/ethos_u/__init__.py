# SPDX-License-Identifier: Apache-2.0
"""Arm Ethos-U55, U65 and U85: Vela compiles the .tflite files that LiteRT writes.

There is no NPU here. Outputs are those of the file before compilation, on the processor (emulated); latency and memory
are what Vela calculates (estimated), and no limit is kept by an estimate.
"""

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from edgewright.artifact import ArtifactManifest, PackageFacts
from edgewright.config.base import Config
from edgewright.config.file_passes import PtqW8A8, PtqW8A16
from edgewright.errors import ExportError
from edgewright.exported_elsewhere import ExportedElsewhere
from edgewright.integrations.runtimes.ethos_u.estimates import estimates
from edgewright.integrations.runtimes.ethos_u.vela import Compiled, compile_file
from edgewright.measure import Evidence

Accelerator = Literal[
    "ethos-u55-32", "ethos-u55-64", "ethos-u55-128", "ethos-u55-256", "ethos-u65-256", "ethos-u65-512",
    "ethos-u85-128", "ethos-u85-256", "ethos-u85-512", "ethos-u85-1024", "ethos-u85-2048",
]  # fmt: skip
#: the sections of Arm/vela.ini, which comes with Vela
SystemConfig = Literal[
    "Ethos_U55_Deep_Embedded", "Ethos_U55_High_End_Embedded",
    "Ethos_U65_Embedded", "Ethos_U65_Mid_End", "Ethos_U65_High_End", "Ethos_U65_Client_Server",
    "Ethos_U85_SYS_Flash_Low", "Ethos_U85_SYS_Flash_High",
    "Ethos_U85_SYS_DRAM_Low", "Ethos_U85_SYS_DRAM_Mid", "Ethos_U85_SYS_DRAM_High",
]  # fmt: skip
MemoryMode = Literal[
    "Sram_Only", "Shared_Sram", "Dedicated_Sram", "Dedicated_Sram_256KB", "Dedicated_Sram_384KB", "Dedicated_Sram_512KB"
]
#: by family: the system that is taken where none is named
_SYSTEMS: dict[str, SystemConfig] = {
    "U55": "Ethos_U55_High_End_Embedded",
    "U65": "Ethos_U65_High_End",
    "U85": "Ethos_U85_SYS_DRAM_Mid",
}
_WITHOUT_DRAM = ("U55", "U65_Embedded", "Flash")
"""In the names of systems whose second memory is flash: tensors can only lie in SRAM."""
_MOST_NAMED = 8


class EthosU(ExportedElsewhere):
    """Compiles integer .tflite files for an Ethos-U with Vela."""

    name: ClassVar[str] = "ethos_u"
    format: ClassVar[str] = "tflite"
    suffix: ClassVar[str] = ".tflite"
    requires: ClassVar[tuple[str, ...]] = ("ethosu.vela", "ai_edge_litert.interpreter")
    runs_with: ClassVar[tuple[str, ...]] = ("ai_edge_litert.interpreter",)
    install: ClassVar[str] = "pip install 'edgewright[ethos-u,litert]'"
    exports_with: ClassVar[str] = "litert"
    borrowed: ClassVar[tuple[type[Any], ...]] = (PtqW8A8, PtqW8A16)
    takes_quantized: ClassVar[bool] = True
    runs_float: ClassVar[bool] = False
    output_evidence: ClassVar[Evidence] = "emulated"
    latency_evidence: ClassVar[Evidence | None] = "estimated"
    memory_evidence: ClassVar[Evidence | None] = "estimated"
    channel_multiple: ClassVar[int] = 8  # the NPU takes 16 and wastes less than a copy: the same as LiteRT, to share candidates

    class Options(Config):
        """Options in `targets[].options`; system and memory are sections of Arm's vela.ini."""

        accelerator: Accelerator = "ethos-u55-128"
        """The NPU and its multiply-accumulates a cycle."""
        system_config: SystemConfig | None = None
        """Clock and memories around the NPU; left out, a high-end system of its family."""
        memory_mode: MemoryMode | None = None
        """Where weights and tensors lie; left out, a dedicated one where the system has DRAM, else Shared_Sram."""

        @property
        def family(self) -> str:
            """U55, U65 or U85."""
            return self.accelerator.split("-")[1].upper()

        @property
        def system(self) -> SystemConfig:
            """System configuration, the default filled in."""
            return self.system_config or _SYSTEMS[self.family]

        @property
        def memory(self) -> MemoryMode:
            """Memory mode, the default filled in."""
            if self.memory_mode is not None:
                return self.memory_mode
            dedicated: MemoryMode = "Dedicated_Sram_384KB" if self.family == "U85" else "Dedicated_Sram"
            return dedicated if self._has_dram else "Shared_Sram"

        @property
        def _has_dram(self) -> bool:
            return not any(part in self.system for part in _WITHOUT_DRAM)

        @model_validator(mode="after")
        def _fit_each_other(self) -> Self:
            if f"_{self.family}_" not in self.system:
                # Vela takes any pair without a word, and its cycles are then those of no machine
                raise ValueError(f"system_config {self.system} is not one of {self.accelerator}: take one of {self.family}")
            if self.memory.startswith("Dedicated") and not self._has_dram:
                raise ValueError(f"memory_mode {self.memory} wants DRAM, {self.system} has none: take Shared_Sram or Sram_Only")
            return self

    def packages(self, options: Config) -> bool:  # noqa: ARG002
        """Always: the NPU takes compiled files only."""
        return True

    def package(self, file: Path, manifest: ArtifactManifest, options: Config) -> PackageFacts:  # noqa: ARG002
        """Compile the file with Vela, and take its estimates.

        Raises:
            ExportError: Vela refused the file, or left all of it to the processor; operators and layers are named.
        """
        assert isinstance(options, self.Options)  # noqa: S101 - narrows the type: a runtime gets its own options
        machine = (options.accelerator, options.system, options.memory)
        compiled = compile_file(file, *machine)
        left = self._left_to_the_cpu(file, compiled)
        if not compiled.on_npu:
            raise ExportError(
                f"Vela leaves every operator to the processor: {_listed(left)}",
                where=str(file),
                to_do="the NPU takes integer files: quantize with ptq_w8a8 or qat_w8a8",
            )
        return PackageFacts(
            stored=compiled.file.name,
            estimates=estimates(compiled, ", ".join(machine), whole=not left),
            notes=_notes(compiled, left),
        )

    def _left_to_the_cpu(self, file: Path, compiled: Compiled) -> list[str]:
        """Operators with their layers, and Vela's reason where it gives one."""
        by_output = {operator.output: str(operator) for operator in self.writer.operators(file)}
        return [
            by_output.get(output, output) + (f": {compiled.reasons[output]}" if output in compiled.reasons else "")
            for output in compiled.on_cpu
        ]


def _notes(compiled: Compiled, left: list[str]) -> tuple[str, ...]:
    total = compiled.on_npu + len(left)
    if not left:
        return (f"All {total} operators run on the NPU.",)
    return (f"{compiled.on_npu} of {total} operators run on the NPU; the processor is left with {_listed(left)}.",)


def _listed(left: list[str]) -> str:
    more = len(left) - _MOST_NAMED
    return "; ".join(left[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
