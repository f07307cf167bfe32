# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the processor: exports ONNX files, quantizes them, executes them. Toolkits are imported when needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgewright.config.base import Config
from edgewright.config.file_passes import Float16, PtqW8A8
from edgewright.integrations.runtimes.onnxruntime import file as onnx_file
from edgewright.integrations.runtimes.onnxruntime.passes import quantize, to_float16
from edgewright.runtime import Array, FilePass, Runtime, Signature, refusals

_SEVERITY_ERROR = 3


class OnnxRuntime(Runtime):
    """Executes ONNX files on the processor."""

    name: ClassVar[str] = "onnxruntime"
    format: ClassVar[str] = "onnx"
    suffix: ClassVar[str] = ".onnx"
    requires: ClassVar[tuple[str, ...]] = ("onnx", "onnxscript", "onnxruntime")
    runs_with: ClassVar[tuple[str, ...]] = ("onnxruntime",)
    install: ClassVar[str] = "pip install 'edgewright[onnxruntime]'"

    @property
    def passes(self) -> Mapping[type[Any], FilePass]:
        """Static int8 quantization in QDQ format, and float16 weights."""
        return {PtqW8A8: quantize, Float16: to_float16}

    def export(self, model: Any, example: Array, out: Path, options: Config) -> None:  # noqa: ARG002
        """Write the model as an ONNX file with a batch of one, batch normalization folded.

        Raises:
            ExportError: torch or ONNX refused the model; the operator is named where it is known.
        """
        onnx_file.export(model, example, out)

    def inspect(self, file: Path) -> Signature:
        """Read names, shapes, dtypes and layout, and the quantization step behind float outputs.

        Raises:
            ExportError: the file is not a whole, valid ONNX file.
        """
        return onnx_file.inspect(file)

    def load(self, file: Path, threads: int) -> "OnnxSession":
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


class OnnxSession:
    """A loaded ONNX file."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._input, self._output = session.get_inputs()[0].name, session.get_outputs()[0].name

    def run(self, sample: Array) -> Array:
        """Run one sample (1, …)."""
        output: Array = self._session.run([self._output], {self._input: sample})[0]
        return output

    def arena_bytes(self) -> int | None:
        """Unknown: ONNX Runtime's arena grows as it runs."""
        return None
