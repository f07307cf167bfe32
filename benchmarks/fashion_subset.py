# SPDX-License-Identifier: Apache-2.0
"""Sources of data for `passes.py` and `distillation_gain.py`: parts of Fashion-MNIST's training images, and its test images."""

import numpy as np
from race.data import find

COUNT, FEW = 20_000, 4_000


def load() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The first 20,000 images."""
    return part(0, COUNT)


def few() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """4,000 images that are not among those."""
    return part(COUNT, COUNT + FEW)


def part(start: int, end: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    with np.load(find(), allow_pickle=False) as stored:
        train = stored["x_train"][start:end], stored["y_train"][start:end].astype(np.int64)
        return {"train": train, "test": (stored["x_test"], stored["y_test"].astype(np.int64))}
