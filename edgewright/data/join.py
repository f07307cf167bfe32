# SPDX-License-Identifier: Apache-2.0
"""Join batches of data that were split one by one: what was test data of one stays test data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.config.data import SPLITS
from edgewright.data.dataset import Dataset
from edgewright.errors import DataError

Array = NDArray[Any]


def join(batches: Mapping[str, Dataset], source_digest: str, seed: int, out: Path) -> Dataset:
    """Write one Dataset with the samples of all batches, each split's in a seeded random order.

    Args:
        batches: by name, the first of them what the others have to be like.
        source_digest: of all sources together.
        seed: of the order.
        out: empty folder.

    Raises:
        DataError: samples of a batch differ in shape, dtype, columns or labels.
    """
    first, *others = batches.values()
    for name, batch in list(batches.items())[1:]:
        _require_same_kind(name, batch, first)
    out.mkdir(parents=True, exist_ok=True)
    counts = {split: sum(batch.card.counts[split] for batch in batches.values()) for split in SPLITS}
    for split in SPLITS:
        order = np.random.default_rng(seed).permutation(counts[split])
        came_with = np.repeat(np.arange(len(batches)), [batch.card.counts[split] for batch in batches.values()])
        labels = np.concatenate([batch.labels(split) for batch in batches.values()])
        origins = [f"{name} {origin}" for name, batch in batches.items() for origin in batch.origin(split)]
        np.save(out / f"{split}_x.npy", np.concatenate([batch.stored(split) for batch in batches.values()])[order])
        np.save(out / f"{split}_y.npy", labels[order])
        np.save(out / f"{split}_origin.npy", np.array(origins)[order])
        np.save(out / f"{split}_batch.npy", came_with[order])
    changed = {
        "source": " + ".join([first.card.source, *(batch.card.source for batch in others)]),
        "counts": counts,
        "source_digest": source_digest,
        "batches": tuple(batches),
    }
    return Dataset.seal(out, first.card.model_copy(update=changed))


def _require_same_kind(name: str, batch: Dataset, first: Dataset) -> None:
    for what in ("sample_shape", "sample_dtype", "features", "labels"):
        here, there = getattr(batch.card, what), getattr(first.card, what)
        if here != there:
            raise DataError(
                f"batch {name!r} differs in {what.replace('_', ' ')}: {here} there, {there} in {first.card.source}",
                where="data.added",
                to_do="store it as the first data is stored",
            )
