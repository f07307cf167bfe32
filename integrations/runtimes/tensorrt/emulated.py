# SPDX-License-Identifier: Apache-2.0
"""What a file answers where there is no GPU: ONNX Runtime on the processor, each node as it stands in the file.

Nothing is fused. Between quantizations it computes in float32 what a GPU sums in int32, so that sums of int8 saturate on no
processor; a GPU's kernels may still differ in the last quantization step.
"""

from pathlib import Path
from typing import Any

from edgewright.runtime import Array, refusals

_SEVERITY_ERROR = 3


class EmulatedSession:
    """A loaded ONNX file."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._input, self._output = session.get_inputs()[0].name, session.get_outputs()[0].name

    def run(self, sample: Array) -> Array:
        """Run one sample (1, …)."""
        output: Array = self._session.run([self._output], {self._input: sample})[0]
        return output

    def arena_bytes(self) -> int | None:
        """Unknown: there is no engine."""
        return None


def open_emulated(file: Path, threads: int) -> EmulatedSession:
    """Load a file once, with ``threads`` threads.

    Raises:
        ExportError: ONNX Runtime refuses the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads
    options.log_severity_level = _SEVERITY_ERROR
    with refusals("the file does not load on the processor, which stands for TensorRT here", file):
        return EmulatedSession(onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"]))
