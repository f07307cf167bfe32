# SPDX-License-Identifier: Apache-2.0
"""Activation ranges for ONNX Runtime's static quantizer, as it takes them: a reader of samples, or a cache of ranges."""

from pathlib import Path
from typing import Any

import numpy as np

from edgewright.calibration import CLIPPING, Histogram
from edgewright.runtime import Array

_MOVES = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


class Samples:
    """Calibration inputs as ONNX Runtime's CalibrationDataReader wants them: one feed a call, then None."""

    def __init__(self, name: str, inputs: Array) -> None:
        self._feeds = ({name: np.ascontiguousarray(sample[None])} for sample in inputs)

    def get_next(self) -> dict[str, Array] | None:
        """Hand out the next feed."""
        return next(self._feeds, None)


class Observed:
    """Histograms of all float activations of a file over the calibration inputs, taken when they are first asked for."""

    def __init__(self, file: Path, name: str, inputs: Array) -> None:
        self._file, self._name, self._inputs = file, name, inputs
        self._seen: tuple[dict[str, Histogram], set[str]] | None = None

    def save(self, calibration: str, out: Path) -> None:
        """Write ranges as ONNX Runtime's calibration cache: clipped inside the graph, whole for its input and outputs.

        The same values in another shape count as input or output too. Clipping those would change what the file takes
        and answers, which no range inside can make good.
        """
        from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData, save_tensors_data

        if self._seen is None:
            self._seen = _observe(self._file, self._name, self._inputs)
        histograms, whole = self._seen
        clip = CLIPPING[calibration]
        ranges = {tensor: (seen.low, seen.high) if tensor in whole else clip(seen) for tensor, seen in histograms.items()}
        found = {tensor: (np.float32(low), np.float32(high)) for tensor, (low, high) in ranges.items()}
        save_tensors_data(TensorsData(CalibrationMethod.MinMax, found), out)


def _observe(file: Path, name: str, inputs: Array) -> tuple[dict[str, Histogram], set[str]]:
    """Run all samples, every float activation an output; return histograms, and the names of the file's inputs and outputs."""
    import onnx
    import onnxruntime

    model: Any = onnx.load(str(file))
    graph = model.graph
    outputs = {value.name for value in graph.output}
    inner = [value for value in graph.value_info if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT]
    graph.output.extend(value for value in inner if value.name not in outputs)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    histograms = {value.name: Histogram() for value in graph.output} | {name: Histogram()}
    for sample in inputs:
        fed = np.ascontiguousarray(sample[None])
        histograms[name].add(fed)
        for value, seen in zip(graph.output, session.run(None, {name: fed}), strict=True):
            histograms[value.name].add(seen)
    return histograms, _moved(graph, outputs | {name})


def _moved(graph: Any, ends: set[str]) -> set[str]:
    """The file's inputs and outputs, and the tensors that hold the same values in another shape or order."""
    found = set(ends)
    moves = [node for node in graph.node if node.op_type in _MOVES]
    for node in moves:
        if node.input[0] in found:
            found.add(node.output[0])
    for node in reversed(moves):
        if node.output[0] in found:
            found.add(node.input[0])
    return found
