# SPDX-License-Identifier: Apache-2.0
"""Activation ranges of a .tflite file over the calibration inputs, as AI Edge Quantizer (AEQ) takes them.

AEQ's own calibration averages ranges over samples, which clips: it saturated a tenth of the outputs of a small
network. Here the ranges are the smallest and largest value seen, or clipped by the project's own rules.
"""

from pathlib import Path
from typing import Any

import numpy as np

from edgewright.calibration import CLIPPING, Histogram
from edgewright.integrations.runtimes.litert.recipe import Ranges
from edgewright.runtime import Array


class Observed:
    """What one file's activations are over the calibration inputs; each look is taken once, when it is first asked for."""

    def __init__(self, file: Path, recipe: Any, inputs: Array) -> None:
        self._file, self._inputs = file, inputs
        self._whole = _min_max(file, recipe, inputs)
        self._seen: dict[str, Histogram] | None = None

    def ranges(self, calibration: str) -> Ranges:
        """Ranges by tensor name; the file's input and output keep the whole of what was seen.

        Clipping those would change what the file takes and answers, which no range inside can make good.
        """
        if calibration == "minmax":
            return self._whole
        if self._seen is None:
            self._seen = _histograms(self._file, self._whole, self._inputs)
        clip = CLIPPING[calibration]
        return self._whole | {name: _like(self._whole[name], *clip(seen)) for name, seen in self._seen.items()}


def _min_max(file: Path, recipe: Any, inputs: Array) -> Ranges:
    """AEQ's statistics by tensor name, {'min', 'max'} of all samples."""
    from ai_edge_quantizer import calibrator
    from ai_edge_quantizer.utils import qsv_utils

    run = calibrator.Calibrator(str(file), num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    signature, tensors = next(iter(run.get_signature_list().items()))
    run.calibrate({signature: [{tensors["inputs"][0]: sample[None]} for sample in inputs]}, recipe)
    ranges: Ranges = run.get_model_qsvs()
    return ranges


def _histograms(file: Path, ranges: Ranges, inputs: Array) -> dict[str, Histogram]:
    """Histograms of the activations inside the graph."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(file),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    ends = {tensor["index"] for tensor in (*interpreter.get_input_details(), *interpreter.get_output_details())}
    inner = [
        tensor
        for tensor in interpreter.get_tensor_details()
        if tensor["name"] in ranges and tensor["index"] not in ends and tensor["dtype"] == np.float32
    ]
    histograms = {tensor["name"]: Histogram() for tensor in inner}
    for sample in inputs:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample[None])
        interpreter.invoke()
        for tensor in inner:
            histograms[tensor["name"]].add(interpreter.get_tensor(tensor["index"]))
    return histograms


def _like(old: dict[str, Any], low: float, high: float) -> dict[str, Any]:
    return {**old, "min": np.full_like(old["min"], low), "max": np.full_like(old["max"], high)}
