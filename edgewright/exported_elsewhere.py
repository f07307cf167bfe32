# SPDX-License-Identifier: Apache-2.0
"""The base of runtimes that write no files of their own: another runtime writes, reads and by default runs them.

Microcontrollers and accelerators take .tflite files that LiteRT writes; the writer is found by its name.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgewright import plugins
from edgewright.config.base import Config
from edgewright.runtime import Array, FilePass, PassRequest, Runtime, Session, Signature


class ExportedElsewhere(Runtime):
    """Executes files that the runtime named in ``exports_with`` writes."""

    exports_with: ClassVar[str]
    borrowed: ClassVar[tuple[type[Any], ...]]
    """Those of the writer's passes whose files this runtime executes."""

    @property
    def writer(self) -> Runtime:
        """The runtime that writes the files."""
        writer: Runtime = plugins.create("runtimes", self.exports_with)
        return writer

    @property
    def passes(self) -> Mapping[type[Any], FilePass]:
        """The writer's own passes, where their files can be executed."""
        return dict.fromkeys(self.borrowed, self._apply)

    def export(self, model: Any, example: Array, out: Path, options: Config) -> None:  # noqa: ARG002
        """Have the other runtime write the file.

        Raises:
            ExportError: the converter refused the model.
        """
        self.writer.export(model, example, out, self.writer.Options())

    def export_quantized(self, model: Any, example: Array, out: Path, options: Config) -> None:  # noqa: ARG002
        """Have the other runtime write a model that was trained with its quantization.

        Raises:
            ExportError: the toolkit refused the model, or left a layer in float; it is named.
        """
        self.writer.export_quantized(model, example, out, self.writer.Options())

    def inspect(self, file: Path) -> Signature:
        """Read names, shapes, dtypes, layout and quantization, after verifying the file's structure.

        Raises:
            ExportError: the file is not whole, or another format.
        """
        return self.writer.inspect(file)

    def load(self, file: Path, threads: int) -> Session:
        """Load the file where the other runtime runs it: its outputs stand for the target's.

        Raises:
            ExportError: the file is refused; the operator is named where it is known.
        """
        return self.writer.load(file, threads)

    def _apply(self, request: PassRequest) -> dict[str, Any] | None:
        return self.writer.passes[type(request.options)](request)
