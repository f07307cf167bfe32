# SPDX-License-Identifier: Apache-2.0
"""A loaded ONNX file: operators in sequence on the processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright.errors import ExportError
from edgewright.onboard.preprocess import Array
from edgewright.onboard.refusals import refusals

_SEVERITY_ERROR = 3


class OnnxSession:
    """A loaded ONNX file."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._input, self._output = session.get_inputs()[0].name, session.get_outputs()[0].name

    def run(self, sample: Array) -> Array:
        """Run one sample (1, …)."""
        output: Array = self._session.run([self._output], {self._input: sample})[0]
        return output

    def resize(self, batch: int) -> None:
        """Take batches, where the file leaves the size of a batch free.

        Raises:
            ExportError: it does not.
        """
        declared = self._session.get_inputs()[0].shape[0]
        if isinstance(declared, int) and declared != batch:
            raise ExportError(f"the file was exported for a batch of {declared}, not {batch}")

    def arena_bytes(self) -> int | None:
        """Unknown: ONNX Runtime's arena grows as it runs."""
        return None


def open_session(file: Path, threads: int) -> OnnxSession:
    """Load a file once, operators in sequence, ``threads`` threads within one.

    Raises:
        ExportError: ONNX Runtime refuses the file; the operator is named where it is known.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _SEVERITY_ERROR
    with refusals("ONNX Runtime does not load the file", file):
        return OnnxSession(onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"]))
