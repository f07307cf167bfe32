# SPDX-License-Identifier: Apache-2.0
"""Labels as the tasks want them: class indexes, float32 values, or 0 normal / 1 anomaly."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.config.data import SplitName, Task
from edgewright.data.samples import Parts, Samples, named
from edgewright.errors import DataError, nearest

Array = NDArray[Any]
NORMAL_AND_ANOMALY = ("normal", "anomaly")


def encode(parts: Parts, known: tuple[str, ...] | None, task: Task) -> tuple[tuple[str, ...], dict[SplitName, Array]]:
    """Return the class names in the order of the model's outputs, and the encoded labels of each part.

    Classification: int64 indexes into ``known``, or into the sorted labels of all parts. Regression: float32 (N, K).
    Anomaly detection: int64, 0 normal and 1 anomaly; ``known`` may name the two, normal first. Integer labels are
    indexes into the names when these are not integers themselves.

    Raises:
        DataError: a label is missing, unknown or no label of this task, or there is only one class.
    """
    if task == "regression":
        return (), _values(parts, known)
    if task == "anomaly" and known is not None and len(known) != 2:
        raise DataError(
            f"{len(known)} labels are given", where="data.labels", to_do="name two: what is normal, then what is not"
        )
    if task == "anomaly":
        known = known or NORMAL_AND_ANOMALY
    texts = {split: _texts(samples, known) for split, samples in parts.items()}
    order = known or _sorted({str(text) for values in texts.values() for text in np.unique(values)})
    if len(order) < 2:
        raise DataError(
            f"there is one class only: {order[0]!r}", where=_where(parts), to_do="a classifier needs two; check the labels"
        )
    encoded = {split: _indexes(parts[split], values, order) for split, values in texts.items()}
    return () if task == "anomaly" else order, encoded


def are_indexes(y: Array) -> bool:
    """Whether all labels are whole numbers from 0, as text or as numbers."""
    texts = np.unique(y.astype(np.int64) if y.dtype.kind == "f" and not (y % 1).any() else y).astype(str)
    return all(_integer(text) and int(text) >= 0 for text in texts)


def _values(parts: Parts, known: tuple[str, ...] | None) -> dict[SplitName, Array]:
    if known is not None:
        raise DataError("labels are given and the task is regression", where="data.labels", to_do="leave them out")
    widths = {}
    encoded: dict[SplitName, Array] = {}
    for split, samples in parts.items():
        try:
            values = samples.y.astype(np.float32)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"labels are not numbers: {error}", where=samples.where, to_do="regression needs numeric labels"
            ) from error
        encoded[split] = values.reshape(len(values), -1)
        _none_missing(samples, np.asarray(~np.isfinite(encoded[split]).all(axis=1)))
        widths[split] = encoded[split].shape[1]
    if len(set(widths.values())) > 1:
        raise DataError(f"labels differ in length: {widths}", where=_where(parts), to_do="give every sample as many values")
    return encoded


def _texts(samples: Samples, known: tuple[str, ...] | None) -> Array:
    """Labels as text, after missing ones were refused and integers were taken as indexes into the names."""
    y = samples.y[:, 0] if samples.y.ndim == 2 and samples.y.shape[1] == 1 else samples.y
    if y.ndim != 1:
        raise DataError(
            f"labels have shape {y.shape}",
            where=samples.where,
            to_do="store class labels as (N,), not one-hot (argmax(axis=1) makes them so)",
        )
    _none_missing(samples, _missing(y))
    if y.dtype.kind == "f":
        fractions = np.flatnonzero(y != np.floor(y))
        if len(fractions):
            raise DataError(
                f"label {y[fractions[0]]} of {samples.origin[fractions[0]]} is a fraction",
                where=samples.where,
                to_do="store class labels as integers or text, or set task: regression",
            )
    texts = (y.astype(np.int64) if y.dtype.kind in "fbui" else y).astype(str)
    names = samples.labels or known or ()
    if names and not any(_integer(name) for name in names) and all(_integer(text) for text in np.unique(texts)):
        return _by_index(samples, texts, names)
    return texts


def _missing(y: Array) -> Array:
    if y.dtype.kind in "OU":
        return np.array([value is None or value == "" or value != value for value in y], bool)  # NaN alone differs from itself
    return np.isnan(y) if y.dtype.kind == "f" else np.zeros(len(y), bool)


def _by_index(samples: Samples, texts: Array, names: tuple[str, ...]) -> Array:
    indexes = texts.astype(np.int64)
    beyond = (indexes < 0) | (indexes >= len(names))
    if beyond.any():
        raise DataError(
            f"label {texts[beyond][0]} is no index into the {len(names)} names, in {named(samples.origin[beyond])}",
            where=samples.where,
            to_do="name every class in data.labels, in the order of the integers",
        )
    return np.asarray(names)[indexes]


def _indexes(samples: Samples, texts: Array, order: tuple[str, ...]) -> Array:
    values, inverse = np.unique(texts, return_inverse=True)
    unknown = [str(value) for value in values if value not in order]
    if unknown:
        raise DataError(
            f"label {unknown[0]!r} is not among the known ones, in {named(samples.origin[texts == unknown[0]])}",
            where=samples.where,
            to_do=f"correct it or add it to data.labels; {nearest(unknown[0], order)}",
        )
    place = np.array([order.index(str(value)) for value in values], np.int64)
    return place[inverse]


def _none_missing(samples: Samples, missing: Array) -> None:
    if missing.any():
        raise DataError(
            f"{int(missing.sum())} labels are missing (empty or NaN): {named(samples.origin[missing])}",
            where=samples.where,
            to_do="label these samples or take them out",
        )


def _sorted(texts: set[str]) -> tuple[str, ...]:
    if all(_integer(text) for text in texts):
        return tuple(sorted(texts, key=lambda text: (int(text), text)))
    return tuple(sorted(texts))


def _integer(text: str) -> bool:
    return str(text).removeprefix("-").isdecimal()


def _where(parts: Parts) -> str:
    return ", ".join(dict.fromkeys(samples.where for samples in parts.values()))
