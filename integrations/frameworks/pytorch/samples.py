# SPDX-License-Identifier: Apache-2.0
"""Splits of a dataset as tensors in PyTorch's layout."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edgewright.config.data import SplitName
from edgewright.data.dataset import Dataset
from edgewright.framework import Array
from edgewright.onboard.preprocess import sample_rank

LAYOUTS: Mapping[int, str] = {3: "NCHW", 2: "NCL", 1: "NF"}
"""Rank of one preprocessed sample to PyTorch's layout of a batch."""


def layout_of(data: Dataset) -> str:
    """Name the framework's layout of a batch of this data.

    Raises:
        ConfigError: the layout of stored samples is not known.
    """
    return LAYOUTS[sample_rank(data.stored("train"), data.card.preprocessing)]


@dataclass(frozen=True)
class Samples:
    """One split."""

    inputs: Tensor
    targets: Tensor
    """Class indexes, values, or the inputs themselves (anomaly detection)."""
    labels: Array
    normal: Tensor
    """Which samples a loss is taken over: all, or those without an anomaly."""


def samples(data: Dataset, split: SplitName) -> Samples:
    """Read a split, preprocessed.

    Raises:
        ConfigError: the layout of stored samples is not known.
    """
    layout = layout_of(data)
    inputs = torch.from_numpy(np.array(data.inputs(split, layout), np.float32, order="C"))
    labels = np.array(data.labels(split))
    if data.card.task == "anomaly":
        return Samples(inputs, inputs, labels, torch.from_numpy(labels == 0))
    return Samples(inputs, torch.from_numpy(labels), labels, torch.ones(len(labels), dtype=torch.bool))
