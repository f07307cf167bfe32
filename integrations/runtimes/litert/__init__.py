# SPDX-License-Identifier: Apache-2.0
"""LiteRT (formerly TensorFlow Lite) on the processor: exports, quantizes and executes .tflite files.

Files take channels last, as every .tflite accelerator wants them. Toolkits are imported when needed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgewright.config.base import Config
from edgewright.config.file_passes import Float16, PtqW8A8
from edgewright.integrations.runtimes.litert import file as tflite_file
from edgewright.integrations.runtimes.litert.passes import quantize, to_float16
from edgewright.runtime import Array, FilePass, Runtime, Signature, refusals


class LiteRT(Runtime):
    """Executes .tflite files on the processor, with XNNPACK."""

    name: ClassVar[str] = "litert"
    format: ClassVar[str] = "tflite"
    suffix: ClassVar[str] = ".tflite"
    requires: ClassVar[tuple[str, ...]] = ("litert_torch", "ai_edge_quantizer", "ai_edge_litert.interpreter")
    runs_with: ClassVar[tuple[str, ...]] = ("ai_edge_litert.interpreter",)
    install: ClassVar[str] = "pip install 'edgewright[litert]'"

    @property
    def passes(self) -> Mapping[type[Any], FilePass]:
        """Static int8 quantization with int8 inputs and outputs, and float16 weights."""
        return {PtqW8A8: quantize, Float16: to_float16}

    def export(self, model: Any, example: Array, out: Path, options: Config) -> None:  # noqa: ARG002
        """Write the model as a .tflite file with a batch of one and channels last.

        Raises:
            ExportError: the converter refused the model; the operator is named where it is known.
        """
        tflite_file.export(model, example, out)

    def inspect(self, file: Path) -> Signature:
        """Read names, shapes, dtypes, layout and quantization, after verifying the file's structure.

        Raises:
            ExportError: the file is not a whole, valid .tflite file.
        """
        return tflite_file.inspect(file)

    def load(self, file: Path, threads: int) -> "LiteRTSession":
        """Load a file once.

        Raises:
            ExportError: LiteRT refuses the file; the operator is named where it is known.
        """
        from ai_edge_litert.interpreter import Interpreter

        with refusals("LiteRT does not load the file", file):
            interpreter = Interpreter(model_path=str(file), num_threads=threads)
            interpreter.allocate_tensors()
        return LiteRTSession(interpreter)


class LiteRTSession:
    """A loaded .tflite file."""

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self._input = interpreter.get_input_details()[0]["index"]
        self._output = interpreter.get_output_details()[0]["index"]

    def run(self, sample: Array) -> Array:
        """Run one sample (1, …)."""
        self._interpreter.set_tensor(self._input, sample)
        self._interpreter.invoke()
        output: Array = self._interpreter.get_tensor(self._output)
        return output

    def arena_bytes(self) -> int | None:
        """Unknown: the interpreter does not tell."""
        return None
