# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Lite Micro: executes .tflite files as a microcontroller would, in one arena of fixed size.

It runs here on a PC: outputs are the microcontroller's own to about one step, the arena is exact for 64-bit
pointers (a 32-bit core needs less), and latency says nothing of the target.
"""

from pathlib import Path
from typing import Any, ClassVar

from edgewright.artifact import ArtifactManifest, PackageFacts
from edgewright.config.base import Config
from edgewright.config.file_passes import PtqW8A8, PtqW8A16
from edgewright.exported_elsewhere import ExportedElsewhere
from edgewright.integrations.runtimes.tflite_micro import arena
from edgewright.integrations.runtimes.tflite_micro.session import MicroSession, open_session
from edgewright.integrations.runtimes.tflite_micro.sources import write_sources
from edgewright.measure import Evidence
from edgewright.runtime import Onboard


class TFLiteMicro(ExportedElsewhere):
    """Executes .tflite files with TensorFlow Lite Micro's kernels; LiteRT writes them."""

    name: ClassVar[str] = "tflite_micro"
    format: ClassVar[str] = "tflite"
    suffix: ClassVar[str] = ".tflite"
    requires: ClassVar[tuple[str, ...]] = ("tflite_micro",)
    install: ClassVar[str] = "pip install 'edgewright[tflite-micro,litert]'"
    onboard: ClassVar[Onboard] = Onboard((open_session.__module__, arena.__name__), "pip install tflite-micro")
    exports_with: ClassVar[str] = "litert"
    borrowed: ClassVar[tuple[type[Any], ...]] = (PtqW8A8, PtqW8A16)  # no kernels for float16, dynamic or int4 weights
    takes_quantized: ClassVar[bool] = True
    output_evidence: ClassVar[Evidence] = "emulated"
    latency_evidence: ClassVar[Evidence | None] = "emulated"
    memory_evidence: ClassVar[Evidence | None] = "emulated"
    channel_multiple: ClassVar[int] = 8  # Cortex-M kernels take 4, Helium 16; the same as LiteRT, so that both share candidates

    class Options(Config):
        """Options in `targets[].options`."""

        c_sources: bool = False
        """Write the model as a C array beside the file, with a header, preprocessing in C and an example main in C++."""

    def load(self, file: Path, threads: int) -> MicroSession:
        """Load a file once; the interpreter has one thread, whatever ``threads`` allows.

        Raises:
            ExportError: an operator is not supported (it is named), or the file is not valid.
        """
        self.inspect(file)  # the micro interpreter itself trusts a file blindly
        return open_session(file, threads)

    def packages(self, options: Config) -> bool:
        """With `c_sources`."""
        assert isinstance(options, self.Options)  # noqa: S101 - narrows the type: a runtime gets its own options
        return options.c_sources

    def package(self, file: Path, manifest: ArtifactManifest, options: Config) -> PackageFacts:  # noqa: ARG002
        """Write C and C++ sources; the arena they reserve is the smallest in which the file opens here.

        Raises:
            ExportError: an operator is a custom one, which the example cannot register.
        """
        needed = self.load(file, threads=1).arena_bytes()
        operators = self.writer.operators(file)
        names = write_sources(file, manifest, operators, needed)
        note = f"Sources for a microcontroller: {', '.join(names)}; {needed:,} bytes of arena, {len(operators)} operators."
        return PackageFacts(notes=(note,))
