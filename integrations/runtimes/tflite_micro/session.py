# SPDX-License-Identifier: Apache-2.0
"""A loaded .tflite file in its arena."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.tflite_micro.arena import open_in_arena, smallest_arena
from edgewright.onboard.preprocess import Array


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

    def reset(self) -> None:
        """Forget what earlier samples left in the file's state."""
        self._interpreter.reset()

    def arena_bytes(self) -> int:
        """Bytes of the smallest arena that the interpreter accepts for the file."""
        return smallest_arena(self._file, self._arena)


def open_session(file: Path, threads: int) -> MicroSession:  # noqa: ARG001 - the interpreter has one thread
    """Load a file once, trusting it: who exported it has verified its structure.

    Raises:
        ExportError: an operator is not supported (it is named).
    """
    interpreter, arena = open_in_arena(file)
    return MicroSession(interpreter, arena, file)
