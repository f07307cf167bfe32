# SPDX-License-Identifier: Apache-2.0
"""Splits of a dataset as arrays in Keras's layout, with channels last."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgewright.config.data import SplitName
from edgewright.data.dataset import Dataset
from edgewright.framework import Array
from edgewright.metrics import Metric
from edgewright.metrics import metric as find_metric
from edgewright.onboard.preprocess import sample_rank

LAYOUTS: Mapping[int, str] = {3: "NHWC", 2: "NLC", 1: "NF"}
"""Rank of one preprocessed sample to Keras's layout of a batch."""


@dataclass(frozen=True)
class Samples:
    """One split."""

    inputs: Array
    targets: Array
    """Class indexes, values, or the inputs themselves (anomaly detection)."""
    labels: Array
    normal: Array
    """Which samples a loss is taken over: all, or those without an anomaly."""


@dataclass(frozen=True)
class Splits:
    """What is learned from and what an epoch is judged on."""

    learn: Samples
    judge: Samples
    metric: Metric

    @classmethod
    def of(cls, data: Dataset, metric: str) -> "Splits":
        """Read the train and validation splits."""
        return cls(samples(data, "train"), samples(data, "validation"), find_metric(metric))


def samples(data: Dataset, split: SplitName) -> Samples:
    """Read a split, preprocessed.

    Raises:
        ConfigError: the layout of stored samples is not known.
    """
    inputs = np.array(data.inputs(split, _layout_of(data)), np.float32, order="C")
    labels = np.array(data.labels(split))
    if data.card.task == "anomaly":
        return Samples(inputs, inputs, labels, labels == 0)
    return Samples(inputs, labels, labels, np.ones(len(labels), bool))


def _layout_of(data: Dataset) -> str:
    return LAYOUTS[sample_rank(data.stored("train"), data.card.preprocessing)]
