# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Lite Micro: executes .tflite files as a microcontroller would, in one arena of fixed size.

It runs here on a PC: outputs are the microcontroller's own to about one step, the arena is exact for 64-bit
pointers (a 32-bit core needs less), and latency says nothing of the target.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgewright import plugins
from edgewright.config.base import Config
from edgewright.config.file_passes import PtqW8A8, PtqW8A16
from edgewright.errors import ExportError
from edgewright.integrations.runtimes.tflite_micro.arena import open_in_arena, smallest_arena
from edgewright.measure import Evidence
from edgewright.runtime import Array, FilePass, PassRequest, Runtime, Signature


class TFLiteMicro(Runtime):
    """Executes .tflite files with TensorFlow Lite Micro's kernels; LiteRT writes them."""

    name: ClassVar[str] = "tflite_micro"
    format: ClassVar[str] = "tflite"
    suffix: ClassVar[str] = ".tflite"
    requires: ClassVar[tuple[str, ...]] = ("tflite_micro",)
    install: ClassVar[str] = "pip install 'edgewright[tflite-micro,litert]'"
    exports_with: ClassVar[str] = "litert"
    takes_quantized: ClassVar[bool] = True
    output_evidence: ClassVar[Evidence] = "emulated"
    latency_evidence: ClassVar[Evidence] = "emulated"
    memory_evidence: ClassVar[Evidence] = "emulated"
    channel_multiple: ClassVar[int] = 8  # Cortex-M kernels take 4, Helium 16; the same as LiteRT, so that both share candidates

    @property
    def passes(self) -> Mapping[type[Any], FilePass]:
        """Static quantization, also with layers in float or 16 bit; its kernels have no float16, dynamic or int4 weights."""
        return {PtqW8A8: _quantize, PtqW8A16: _quantize}

    def export(self, model: Any, example: Array, out: Path, options: Config) -> None:  # noqa: ARG002
        """Have LiteRT write the file.

        Raises:
            ExportError: the converter refused the model.
        """
        writer = _writer()
        writer.export(model, example, out, writer.Options())

    def export_quantized(self, model: Any, example: Array, out: Path, options: Config) -> None:  # noqa: ARG002
        """Have LiteRT write a model that was trained with its quantization.

        Raises:
            ExportError: the toolkit refused the model, or left a layer in float; it is named.
        """
        writer = _writer()
        writer.export_quantized(model, example, out, writer.Options())

    def inspect(self, file: Path) -> Signature:
        """Read names, shapes, dtypes, layout and quantization, after verifying the file's structure.

        Raises:
            ExportError: the file is not a whole, valid .tflite file.
        """
        return _writer().inspect(file)

    def load(self, file: Path, threads: int) -> "MicroSession":  # noqa: ARG002
        """Load a file once; the interpreter has one thread, whatever ``threads`` allows.

        Raises:
            ExportError: an operator is not supported (it is named), or the file is not valid.
        """
        self.inspect(file)  # the micro interpreter itself trusts a file blindly
        interpreter, arena = open_in_arena(file)
        return MicroSession(interpreter, arena, file)


class MicroSession:
    """A loaded .tflite file in its arena."""

    def __init__(self, interpreter: Any, arena: int, file: Path) -> None:
        self._interpreter, self._arena, self._file = interpreter, arena, file

    def run(self, sample: Array) -> Array:
        """Run one sample (1, …).

        Raises:
            ExportError: a kernel failed.
        """
        try:
            self._interpreter.set_input(sample, 0)
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise ExportError(f"TFLite Micro cannot run the file: {error}", where=str(self._file)) from error
        output: Array = self._interpreter.get_output(0).copy()
        return output

    def arena_bytes(self) -> int | None:
        """Bytes of the smallest arena that the interpreter accepts for the file."""
        return smallest_arena(self._file, self._arena)


def _quantize(request: PassRequest) -> dict[str, Any] | None:
    return _writer().passes[type(request.options)](request)


def _writer() -> Runtime:
    writer: Runtime = plugins.create("runtimes", TFLiteMicro.exports_with)
    return writer
