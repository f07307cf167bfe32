# SPDX-License-Identifier: Apache-2.0
"""Coral's Edge TPU: integer .tflite files that LiteRT writes, compiled where Coral's compiler is installed.

There is no Edge TPU here. Outputs are those of the file before compilation, on the processor (emulated); latency and
memory are unknown.
"""

from pathlib import Path
from typing import Any, ClassVar

from edgewright.artifact import ArtifactManifest, PackageFacts
from edgewright.config.base import Config
from edgewright.config.file_passes import PtqW8A8
from edgewright.errors import ExportError
from edgewright.exported_elsewhere import ExportedElsewhere
from edgewright.integrations.runtimes.edgetpu import compiler
from edgewright.integrations.runtimes.edgetpu.coverage import coverage
from edgewright.measure import Evidence


class EdgeTPU(ExportedElsewhere):
    """Checks integer .tflite files for the Edge TPU, and compiles them where the compiler is there."""

    name: ClassVar[str] = "edgetpu"
    format: ClassVar[str] = "tflite"
    suffix: ClassVar[str] = ".tflite"
    requires: ClassVar[tuple[str, ...]] = ("ai_edge_litert.interpreter",)
    install: ClassVar[str] = "pip install 'edgewright[litert]'"
    exports_with: ClassVar[str] = "litert"
    borrowed: ClassVar[tuple[type[Any], ...]] = (PtqW8A8,)
    takes_quantized: ClassVar[bool] = True
    runs_float: ClassVar[bool] = False
    output_evidence: ClassVar[Evidence] = "emulated"
    latency_evidence: ClassVar[Evidence | None] = None
    memory_evidence: ClassVar[Evidence | None] = None
    channel_multiple: ClassVar[int] = 8  # the same as LiteRT, so that both share candidates

    def packages(self, options: Config) -> bool:  # noqa: ARG002
        """Always: operators are held against the published list, whether or not the compiler is there."""
        return True

    def package(self, file: Path, manifest: ArtifactManifest, options: Config) -> PackageFacts:  # noqa: ARG002
        """Check that the Edge TPU takes the file, name the operators that it does not, and compile where that is possible.

        Raises:
            ExportError: inputs or outputs are not integers, no operator would run on the Edge TPU, or the compiler refused.
        """
        for spec in (*manifest.inputs, *manifest.outputs):
            if spec.dtype not in ("int8", "uint8"):
                raise ExportError(
                    f"the Edge TPU takes files of 8-bit integers only; {spec.name!r} is {spec.dtype}",
                    where=str(file),
                    to_do="quantize with ptq_w8a8 or qat_w8a8",
                )
        checked = coverage(self.writer.operators(file))
        if not checked.mapped:
            raise ExportError(
                f"no operator of the file would run on the Edge TPU: {checked.refused[0]} is the first of the graph",
                where=str(file),
                to_do="replace that operator in the model: all behind it stays on the processor",
            )
        command = compiler.found()
        if command is None:
            notes = f"Not compiled: {compiler.COMMAND} is not on the PATH; the file runs on a Coral only once it is compiled."
            return PackageFacts(notes=(checked.words, notes))
        report = compiler.compile_file(command, file)
        return PackageFacts(stored=report.file.name, notes=(checked.words, *report.notes))
