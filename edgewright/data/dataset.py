# SPDX-License-Identifier: Apache-2.0
"""Dataset: the four splits as stored, with the card that says what they hold and where each sample came from."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgewright.bundle import Bundle
from edgewright.config.data import Preprocessing, SplitName, Task
from edgewright.measure import Frozen
from edgewright.onboard.preprocess import prepare, sample_rank

Array = NDArray[Any]


class DataCard(Frozen):
    """What a dataset holds."""

    source: str
    task: Task
    labels: tuple[str, ...] = Field(default=(), description="Names of the classes, in the order of the model's outputs.")
    sample_shape: tuple[int, ...] = Field(description="Shape of one stored sample.")
    sample_dtype: str
    features: tuple[str, ...] = Field(default=(), description="Column names, for tables.")
    preprocessing: Preprocessing = Field(description="With its layout resolved.")
    counts: dict[SplitName, int]
    source_digest: str = Field(description="Digest of the source itself: files, or code.")
    batches: tuple[str, ...] = Field(default=(), description="Names of the batches it was joined from; empty: it is one.")


class Dataset(Bundle[DataCard]):
    """Files of each split: <split>_x.npy (stored samples), <split>_y.npy (labels), <split>_origin.npy (text: row or file).

    Joined batches have <split>_batch.npy as well, indexes into the card's batches. Labels are int64 class indexes
    (classification), float32 (N, K) (regression), or 0 normal / 1 anomaly.
    """

    Facts = DataCard

    @property
    def card(self) -> DataCard:
        """The facts, by the name the field gives them."""
        return self.facts

    def stored(self, split: SplitName) -> Array:
        """Samples as stored (N, …), memory-mapped."""
        return self._array(split, "x")

    def labels(self, split: SplitName) -> Array:
        """Labels of the split (N,) or (N, K)."""
        return self._array(split, "y")

    def origin(self, split: SplitName) -> list[str]:
        """Where each sample came from: 'row 17', 'cats/1.png'."""
        return [str(text) for text in self._array(split, "origin")]

    def rows_of_batches(self, split: SplitName) -> dict[str, Array]:
        """Rows of the split by the name of the batch they came with; one entry, '', where the data is one batch."""
        if not self.card.batches:
            return {"": np.arange(self.card.counts[split])}
        batch = self._array(split, "batch")
        return {name: np.flatnonzero(batch == index) for index, name in enumerate(self.card.batches)}

    def inputs(self, split: SplitName, layout: str) -> Array:
        """Preprocessed float32 model input in the asked layout, such as 'NCHW'."""
        return prepare(self.stored(split), self.card.preprocessing, layout)

    def sample_in(self, layouts: Mapping[int, str]) -> tuple[int, ...]:
        """Shape of one preprocessed sample in a framework's layout, no batch.

        Args:
            layouts: rank of a sample to the framework's layout of a batch.
        """
        first = self.stored("train")[:1]
        layout = layouts[sample_rank(first, self.card.preprocessing)]
        return tuple(prepare(first, self.card.preprocessing, layout).shape[1:])

    @functools.cached_property
    def outputs(self) -> int:
        """Length of the output vector a model for this data must have; 0 where any will do (anomaly detection)."""
        if self.card.task == "classification":
            return len(self.card.labels)
        return int(self.labels("train").shape[1]) if self.card.task == "regression" else 0

    def _array(self, split: SplitName, what: str) -> Array:
        array: Array = np.load(self.path / f"{split}_{what}.npy", mmap_mode="r", allow_pickle=False)
        return array
