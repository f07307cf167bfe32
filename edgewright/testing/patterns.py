# SPDX-License-Identifier: Apache-2.0
"""A dataset that any small model learns in a moment, for tests of runtimes and frameworks."""

from pathlib import Path

import numpy as np

from edgewright.config.data import SPLITS, Preprocessing, SampleLayout
from edgewright.data.dataset import DataCard, Dataset

SAMPLES = 48
_LAYOUTS: dict[int, SampleLayout] = {3: "HWC", 2: "LC", 1: "F"}


def three_classes(folder: Path, sample: tuple[int, ...]) -> Dataset:
    """Write a dataset of `SAMPLES` float32 samples a split: each class is a pattern of its own, under noise.

    Args:
        folder: is made, and sealed.
        sample: shape of one stored sample: (H, W, C), (L, C) or (F,).
    """
    folder.mkdir()
    random = np.random.default_rng(0)
    patterns = random.normal(size=(3, *sample))
    for split in SPLITS:
        labels = np.arange(SAMPLES) % 3
        samples = patterns[labels] + random.normal(scale=0.5, size=(SAMPLES, *sample))
        origin = np.array([f"row {row}" for row in range(SAMPLES)])
        for what, array in (("x", samples.astype(np.float32)), ("y", labels), ("origin", origin)):
            np.save(folder / f"{split}_{what}.npy", array, allow_pickle=False)
    layout: SampleLayout = _LAYOUTS[len(sample)]
    return Dataset.seal(
        folder,
        DataCard(
            source="three patterns under noise",
            task="classification",
            labels=("a", "b", "c"),
            sample_shape=sample,
            sample_dtype="float32",
            preprocessing=Preprocessing(layout=layout),
            counts=dict.fromkeys(SPLITS, SAMPLES),
            source_digest="made here",
        ),
    )
