# SPDX-License-Identifier: Apache-2.0
"""What is said of a sample and of a model's answer in single numbers: the same on devices and of the training data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
#: tables of up to so many columns are watched column by column; of all else, and of images and signals, four numbers are
WIDEST = 256
#: outputs of a model that is no classifier, watched one by one up to so many
MOST_OUTPUTS = 16
SUMMARIES = ("mean", "standard deviation", "minimum", "maximum")
CONFIDENCES = ("output top-1", "output margin", "output entropy")
#: classes from this one on are counted together, so that a report stays small
MOST_CLASSES = 200


def input_names(sample_shape: tuple[int, ...], columns: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Names of what is watched of samples of a shape: the columns of a table, or `SUMMARIES`."""
    if len(sample_shape) != 1 or sample_shape[0] > WIDEST:
        return SUMMARIES
    return columns or tuple(f"feature {index}" for index in range(sample_shape[0]))


def of_inputs(samples: Array, names: tuple[str, ...]) -> dict[str, Array]:
    """Values of what is watched of stored samples (N, …): float32 (N,) by name; NaN where a sample holds no number."""
    flat = np.asarray(samples).reshape(len(samples), -1).astype(np.float64)
    if names != SUMMARIES:
        return {name: flat[:, index].astype(np.float32) for index, name in enumerate(names)}
    with np.errstate(invalid="ignore"):  # infinite values have no deviation
        values = (flat.mean(axis=1), flat.std(axis=1), flat.min(axis=1), flat.max(axis=1))
    return {name: value.astype(np.float32) for name, value in zip(SUMMARIES, values)}


def output_names(task: str, outputs: int) -> tuple[str, ...]:
    """Names of what is watched of a model's answers."""
    if task == "classification":
        return CONFIDENCES
    if outputs <= MOST_OUTPUTS:
        return tuple(f"output {index}" for index in range(outputs))
    return tuple(f"output {name}" for name in SUMMARIES)


def of_outputs(outputs: Array, names: tuple[str, ...], *, logits: bool) -> dict[str, Array]:
    """Values of what is watched of a model's outputs (N, …): float32 (N,) by name.

    Confidences: the largest probability, its distance to the second largest, and the entropy in nats. Logits become
    probabilities by softmax first.
    """
    flat = np.asarray(outputs).reshape(len(outputs), -1).astype(np.float64)
    if names != CONFIDENCES:
        whole = of_inputs(flat, SUMMARIES if len(names) != flat.shape[1] else names)
        return {name: value for name, value in zip(names, whole.values())}  # noqa: C416 - Python 3.9
    with np.errstate(invalid="ignore", divide="ignore"):
        probabilities = _softmax(flat) if logits else flat
        two = np.sort(probabilities, axis=1)[:, -2:]
        entropy = -np.where(probabilities > 0, probabilities * np.log(probabilities), 0.0).sum(axis=1)
        entropy = np.where(np.isfinite(flat).all(axis=1), entropy, np.nan)
    values = (two[:, 1], two[:, 1] - two[:, 0], entropy)
    return {name: value.astype(np.float32) for name, value in zip(CONFIDENCES, values)}


def answers(outputs: Array) -> NDArray[np.int64]:
    """The class each of the outputs (N, classes) names; -1 where they hold no numbers."""
    flat = np.asarray(outputs).reshape(len(outputs), -1)
    finite = np.isfinite(flat).all(axis=1)
    named = np.minimum(np.argmax(flat, axis=1), MOST_CLASSES)
    return np.where(finite, named, -1)


def counted_classes(classes: int) -> int:
    """Length of the list of class counts: one a class, the last one for all from `MOST_CLASSES` on."""
    return min(classes, MOST_CLASSES + 1)


def are_logits(outputs: Array) -> bool:
    """Whether outputs (N, classes) of a classifier are no probabilities: negative, or not adding up to 1.

    The tolerance is half a quantization step of 1/256 a class, and 0.02.
    """
    flat = np.asarray(outputs).reshape(len(outputs), -1).astype(np.float64)
    near = np.abs(flat.sum(axis=1) - 1).max(initial=0.0) <= 0.02 + flat.shape[1] / 512
    return bool(flat.min(initial=0.0) < -1e-3 or not near)


def _softmax(logits: Array) -> Array:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    scaled: Array = raised / raised.sum(axis=1, keepdims=True)
    return scaled
