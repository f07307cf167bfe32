# SPDX-License-Identifier: Apache-2.0
"""A loaded .tflite file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright.onboard.preprocess import Array
from edgewright.onboard.refusals import refusals


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


def open_session(file: Path, threads: int) -> LiteRTSession:
    """Load a file once.

    Raises:
        ExportError: LiteRT refuses the file; the operator is named where it is known.
    """
    from ai_edge_litert.interpreter import Interpreter

    with refusals("LiteRT does not load the file", file):
        interpreter = Interpreter(model_path=str(file), num_threads=threads)
        interpreter.allocate_tensors()
    return LiteRTSession(interpreter)
