# SPDX-License-Identifier: Apache-2.0
"""A loaded .tflite file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgewright.errors import ExportError
from edgewright.onboard.preprocess import Array
from edgewright.onboard.refusals import refusals

#: operators that keep what they have seen in a tensor of their own
_REMEMBERS = ("SVDF", "RNN", "LSTM")
#: names a variable of the file; the interpreter's own reset leaves those as they are
_VARIABLE = "VAR_HANDLE"


class LiteRTSession:
    """A loaded .tflite file."""

    def __init__(self, opened: Callable[[], Any]) -> None:
        self._opened = opened
        self._interpreter = opened()
        self.kinds = {operator["op_name"] for operator in self._interpreter._get_ops_details()}
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def run(self, sample: Array) -> Array:
        """Run one sample (1, …)."""
        self._interpreter.set_tensor(self._input, sample)
        self._interpreter.invoke()
        output: Array = self._interpreter.get_tensor(self._output)
        return output

    def resize(self, batch: int) -> None:
        """Take batches, where all operators can.

        Raises:
            ExportError: one cannot, in LiteRT's words.
        """
        shape = [batch, *self._interpreter.get_input_details()[0]["shape"][1:]]
        with refusals(f"the file does not take a batch of {batch}", "its input", ""):
            self._interpreter.resize_tensor_input(self._input, shape)
            self._interpreter.allocate_tensors()

    def reset(self) -> None:
        """Forget what earlier samples left in the file's state."""
        if _VARIABLE in self.kinds:
            self._interpreter = self._opened()
        elif any(kind.endswith(_REMEMBERS) for kind in self.kinds):
            self._interpreter.reset_all_variables()

    def arena_bytes(self) -> int | None:
        """Unknown: the interpreter does not tell."""
        return None


def open_session(file: Path, threads: int) -> LiteRTSession:
    """Load a file once.

    Raises:
        ExportError: LiteRT refuses the file; the operator is named where it is known. Or nothing writes what it reads.
    """
    from ai_edge_litert.interpreter import Interpreter

    def opened() -> Any:
        interpreter = Interpreter(model_path=str(file), num_threads=threads)
        interpreter.allocate_tensors()
        return interpreter

    with refusals("LiteRT does not load the file", file):
        session = LiteRTSession(opened)
    if "READ_VARIABLE" in session.kinds and not {"ASSIGN_VARIABLE", "CALL_ONCE"} & session.kinds:
        raise ExportError(
            "the file reads variables that nothing writes: its weights were left behind, and its answers are what memory held",
            where=str(file),
            to_do="convert the model itself (from_keras_model) or a saved one (from_saved_model), not its concrete functions",
        )
    return session
