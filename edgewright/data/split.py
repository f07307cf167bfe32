# SPDX-License-Identifier: Apache-2.0
"""Splits: seeded and stratified; what has a source of its own is taken whole, the rest is drawn from train."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.config.data import SPLITS, SplitName, Splits, Task
from edgewright.data.samples import named
from edgewright.errors import DataError

Array = NDArray[Any]
#: where anomalies may go: a detector is fitted and calibrated on what is normal
WITH_ANOMALIES: tuple[SplitName, ...] = ("validation", "test")
TRAIN: SplitName = "train"


def draw(y: Array, labels: tuple[str, ...], shares: Mapping[SplitName, float], task: Task, seed: int) -> dict[SplitName, Array]:
    """Draw disjoint splits from samples with labels ``y``; returns row indexes (in random order) by split.

    Classification is stratified by the classes that occur in ``y``. Anomalies (label 1) go to validation and test only,
    by their shares; where neither is drawn they stay in train, for `check_classes` to refuse.
    The same labels, shares and seed give the same splits; what test holds depends on its own share and the seed alone.

    Raises:
        DataError: a split, or a class in a split, would be empty.
    """
    if task == "regression":
        return _draw(np.arange(len(y)), shares, seed, "samples")
    if task == "classification":
        return _stratified(y, labels, shares, seed)
    drawn = _draw(np.flatnonzero(y == 0), shares, seed, "normal samples")
    anomalies = np.flatnonzero(y == 1)
    if len(anomalies):
        takers = {split: share for split, share in shares.items() if split in WITH_ANOMALIES} or {TRAIN: 1.0}
        for split, indexes in _draw(anomalies, takers, seed, "anomalies").items():
            drawn[split] = np.random.default_rng(seed).permutation(np.concatenate([drawn[split], indexes]))
    return drawn


def shares_of(splits: Splits, drawn: list[SplitName]) -> dict[SplitName, float]:
    """Shares of the pool each split in ``drawn`` (train among them) gets; they add up to 1.

    Where train has a source of its own, that is the pool: the others take their fractions of it, train keeps the rest.

    Raises:
        DataError: nothing is left for train, or the four fractions do not add up to 1.
    """
    asked = {split: getattr(splits, split) for split in drawn}
    fractions: dict[SplitName, float] = {split: value for split, value in asked.items() if isinstance(value, float)}
    if len(fractions) == len(SPLITS) and abs(sum(fractions.values()) - 1) > 1e-6:
        raise DataError(
            f"the four fractions add up to {sum(fractions.values()):g}: "
            + ", ".join(f"{split} {value:g}" for split, value in fractions.items()),
            where="data.splits",
            to_do="write all four, so that they add up to 1",
        )
    if "train" in fractions:
        return {split: value / sum(fractions.values()) for split, value in fractions.items()}
    left = 1 - sum(fractions.values())
    if left <= 1e-6:
        raise DataError(
            "nothing is left for train", where="data.splits", to_do="the fractions drawn from train's source must stay below 1"
        )
    return {**fractions, "train": left}


def check_classes(
    y: Mapping[SplitName, Array], origins: Mapping[SplitName, Array], labels: tuple[str, ...], task: Task
) -> None:
    """Refuse splits a model cannot be trained or judged on.

    Raises:
        DataError: train lacks a class, an anomaly is in train or calibration, or validation or test lack one of the two kinds.
    """
    if task == "classification":
        for index in np.setdiff1d(np.arange(len(labels)), y["train"]):
            found = [origin for split in y for origin in origins[split][y[split] == index]]
            raise DataError(
                f"class {labels[index]!r} has no sample in train"
                + (f", and these elsewhere: {named(found)}" if found else ", nor anywhere else"),
                where="data.splits",
                to_do="bring samples of it for training, or take the class out",
            )
    if task == "anomaly":
        for split in SPLITS:
            _check_kinds(split, y[split], origins[split])


def _check_kinds(split: SplitName, y: Array, origin: Array) -> None:
    if split not in WITH_ANOMALIES and y.any():
        raise DataError(
            f"{split} holds anomalies: {named(origin[y == 1])}",
            where=f"data.splits.{split}",
            to_do="move them to the sources of validation and test; train and calibration hold normal samples only",
        )
    if split in WITH_ANOMALIES and len(np.unique(y)) < 2:
        lacking = "normal sample" if y.all() else "anomaly"
        raise DataError(
            f"{split} holds no {lacking}, so that nothing can be told apart on it",
            where=f"data.splits.{split}",
            to_do=f"bring some, or give {split} a source that holds both",
        )


def _stratified(y: Array, labels: tuple[str, ...], shares: Mapping[SplitName, float], seed: int) -> dict[SplitName, Array]:
    classes, counts = np.unique(y, return_counts=True)
    smallest = int(counts.argmin())
    too_few = DataError(
        f"class {labels[classes[smallest]]!r} has {counts[smallest]} samples, too few to be in every split",
        where="data.splits",
        to_do=f"bring about {2 * _enough(shares)} for these fractions, enlarge the smallest fraction, or take the class out",
    )
    if counts[smallest] < len(shares):
        raise too_few
    try:
        drawn = _draw(np.arange(len(y)), shares, seed, "samples", y)
    except ValueError as error:  # scikit-learn: a split smaller than the number of classes
        raise too_few from error
    if any(len(np.unique(y[part])) < len(classes) for part in drawn.values()):
        raise too_few
    return drawn


def _draw(
    rows: Array, shares: Mapping[SplitName, float], seed: int, kind: str, y: Array | None = None
) -> dict[SplitName, Array]:
    """Cut one split after the other off the pool, test first; the last keeps the rest."""
    from sklearn.model_selection import train_test_split

    *cut, last = [split for split in reversed(SPLITS) if split in shares]
    counts = {split: round(len(rows) * shares[split] / sum(shares.values())) for split in cut}
    counts[last] = len(rows) - sum(counts.values())
    empty = [split for split, count in counts.items() if count < 1]
    if empty:
        raise DataError(
            f"{len(rows)} {kind} are too few: {empty[0]} would get none",
            where="data.splits",
            to_do=f"bring {_enough(shares)} or more for these fractions, or enlarge the smallest fraction",
        )
    drawn: dict[SplitName, Array] = {}
    for split in cut:
        strata = None if y is None else y[rows]
        rows, drawn[split] = train_test_split(rows, test_size=counts[split], stratify=strata, random_state=seed)
    drawn[last] = np.random.default_rng(seed).permutation(rows)
    return drawn


def _enough(shares: Mapping[SplitName, float]) -> int:
    """How many samples give the smallest share at least one."""
    return int(np.ceil(sum(shares.values()) / min(shares.values())))
