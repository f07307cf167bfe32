# SPDX-License-Identifier: Apache-2.0
"""Sanity: faults that show in what a file answers, whatever its accuracy. Toolkits report success on files that have them.

What the float model does as well is no fault of the file. Each tolerance is a constant here, with its reason beside it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.artifact import TensorSpec
from edgewright.config.data import Task
from edgewright.validation import Sanity

Array = NDArray[Any]

STILL = 1e-6
"""Outputs that differ by less than this share of their size are one output: sums in float32 are rounded at about 1e-7."""
COPIED = 0.005
"""An output within this share of the input's range is the input: int8 rounds by half a step, which is 0.002 of its range."""
COLLAPSED = 0.99
"""A class that is named this often is all the file says: a dead network names one class always, but for ties that round."""
RARER = 0.9
"""… unless that class is truly so common: above this share, naming it nearly always can be right."""
ENOUGH = 20
"""Fewer samples than this may all be of one class by chance."""
COMPARED = 256
"""Inputs that outputs are compared with; a file that copies does so at once."""


def examine(
    outputs: Array,
    inputs: Array,
    output: TensorSpec,
    task: Task,
    expected: Array | None = None,
    labels: Array | None = None,
    repeat_difference: float | None = None,
) -> Sanity:
    """Look for the faults in the outputs of one file.

    Args:
        outputs: float32 (N, K), or (N,) anomaly scores; all finite.
        inputs: prepared float32 inputs in the file's layout, of the first samples at least.
        output: what the file declares of its output.
        task: classification has classes that can collapse.
        expected: the float model's outputs of the same samples; None where there is none.
        labels: class indexes, which stand for ``expected`` where there is none.
        repeat_difference: what the probe saw when it ran samples twice.
    """
    named = _commonest(outputs) if task == "classification" and outputs.ndim == 2 and outputs.shape[1] > 1 else None
    return Sanity(
        n=len(outputs),
        constant=_constant(outputs) and not (expected is not None and _constant(expected)),
        independent=_independent(outputs, inputs) and not (expected is not None and _independent(expected, inputs)),
        equals_input=_copied(outputs, inputs, output, task)
        and not (expected is not None and _copied(expected, inputs, output, task)),
        top_class=None if named is None else named[0],
        top_share=None if named is None else named[1],
        expected_share=None if named is None else _share(named[0], expected, labels),
        at_range_ends=_at_range_ends(outputs, output),
        repeat_difference=repeat_difference,
        size=float(np.abs(outputs).max()) if outputs.size else 0.0,
    )


def _constant(outputs: Array) -> bool:
    """Whether all outputs of all samples are one number."""
    return len(outputs) > 1 and float(np.ptp(outputs)) <= STILL * float(np.abs(outputs).max())


def _independent(outputs: Array, inputs: Array) -> bool:
    """Whether every output is the same for all samples, though the samples differ."""
    if len(outputs) < 2 or float(np.ptp(inputs, axis=0).max()) == 0:
        return False
    return bool((np.ptp(outputs, axis=0) <= STILL * np.abs(outputs).max(axis=0)).all())


def _copied(outputs: Array, inputs: Array, output: TensorSpec, task: Task) -> bool:
    """Whether the output is the input; of a reconstruction only its error is known."""
    count, scale = min(len(inputs), len(outputs), COMPARED), float(np.ptp(inputs))
    if scale == 0 or int(np.prod(output.shape[1:])) != inputs[0].size or inputs[0].size < 2:
        return False
    if task == "anomaly":
        return float(outputs[:count].max()) <= (COPIED * scale) ** 2
    given, answered = (values[:count].reshape(count, -1) for values in (inputs, outputs))
    return float(np.abs(given - answered).max()) <= COPIED * scale


def _commonest(outputs: Array) -> tuple[int, float]:
    """The class that is named most often, and its share of the answers."""
    counts = np.bincount(outputs.argmax(axis=1))
    return int(counts.argmax()), float(counts.max() / len(outputs))


def _share(named: int, expected: Array | None, labels: Array | None) -> float | None:
    """Share of a class in the float model's answers, or else in the labels."""
    truth = labels if expected is None else expected.argmax(axis=1)
    return None if truth is None else float(np.mean(truth == named))


def _at_range_ends(outputs: Array, output: TensorSpec) -> float | None:
    """Share of integer outputs at an end of their range; None of float ones, whose range nobody declares.

    Ends at 0, 1 and -1 are left out: softmax, sigmoid, tanh and ReLU end there by themselves, and their quantized
    forms have these ranges (LiteRT 8-bit quantization specification, LOGISTIC, SOFTMAX and TANH).
    """
    if output.scale is None or outputs.ndim == 1:
        return None
    limits = np.iinfo(output.dtype)
    ends = [(limit - output.zero_point) * output.scale for limit in (limits.min, limits.max)]
    real = [end for end in ends if min(abs(end - natural) for natural in (0.0, 1.0, -1.0)) > output.scale]
    return (
        float(np.mean([np.isclose(outputs, end, rtol=0, atol=output.scale / 2) for end in real], axis=(1, 2)).sum())
        if real
        else 0.0
    )
