# SPDX-License-Identifier: Apache-2.0
"""Small real datasets that models train on in a second, sealed as the pipeline seals them."""

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from edgewright.config import SPLITS, Preprocessing, Task
from edgewright.data.dataset import Array, DataCard, Dataset


def seal(
    path: Path, task: Task, layout: Any, x: Array, y: Array, labels: tuple[str, ...] = (), train_y: Array | None = None
) -> Dataset:
    """Write a dataset of shuffled samples: half train, a tenth calibration, a fifth validation and test.

    ``train_y``, where given, are the labels that the train split has instead; anomalies stand in validation and test only.
    """
    path.mkdir(parents=True)
    order, counts = np.random.default_rng(0).permutation(len(x)), {}
    cuts = (np.array([0.5, 0.6, 0.8]) * len(x)).astype(int)
    for split, rows in zip(SPLITS, np.split(order, cuts), strict=True):
        if task == "anomaly" and split in ("train", "calibration"):
            rows = rows[y[rows] == 0]
        given = train_y if train_y is not None and split == "train" else y
        np.save(path / f"{split}_x.npy", x[rows])
        np.save(path / f"{split}_y.npy", given[rows])
        np.save(path / f"{split}_origin.npy", np.array([f"row {row}" for row in rows]))
        counts[split] = len(rows)
    card = DataCard(
        source="made here",
        task=task,
        labels=labels,
        sample_shape=x.shape[1:],
        sample_dtype=str(x.dtype),
        preprocessing=Preprocessing(scale=1 / 16 if x.dtype == np.uint8 else 1, layout=layout),
        counts=counts,
        source_digest="made here",
    )
    return Dataset.seal(path, card)


def digits(path: Path, count: int = 600, wrong: float = 0.0) -> Dataset:
    """Scikit-learn's digits, 8 x 8 pixels; a share of the train split's labels is wrong on purpose."""
    x, y = load_digits(return_X_y=True)
    images, y, rng = x[:count].reshape(-1, 8, 8).astype(np.uint8), y[:count], np.random.default_rng(5)
    mislabelled = np.where(rng.random(count) < wrong, rng.integers(0, 10, count), y)
    return seal(path, "classification", "HW", images, y, tuple("0123456789"), train_y=mislabelled)


def windows(path: Path) -> Dataset:
    """Three-axis sensor windows of 32 moments, in which one of three frequencies sounds."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 300)
    phase = rng.uniform(0, 6, (300, 3, 1))
    x = np.sin((y[:, None, None] + 1) * np.arange(32) / 3 + phase) + rng.normal(0, 0.2, (300, 3, 32))
    return seal(path, "classification", "CL", x.astype(np.float32), y, ("a", "b", "c"))


def values(path: Path) -> Dataset:
    """Two values that follow from six features."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 6)).astype(np.float32)
    y = np.stack([x[:, 0] + x[:, 1] ** 2, x[:, 2] - x[:, 3]], axis=1)
    return seal(path, "regression", "F", x, y)


def anomalies(path: Path) -> Dataset:
    """Ten features that move together, but for one sample in five."""
    rng = np.random.default_rng(3)
    y = (rng.uniform(size=500) < 0.2).astype(np.int64)
    together = rng.normal(size=(500, 2)) @ rng.normal(size=(2, 10))
    apart = rng.normal(0, together.std(), size=(500, 10))
    x = np.where(y[:, None] == 1, apart, together).astype(np.float32)
    return seal(path, "anomaly", "F", x, y)
