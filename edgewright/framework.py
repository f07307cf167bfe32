# SPDX-License-Identifier: Apache-2.0
"""The framework port: builds, trains, loads and runs live models."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from edgewright.artifact import Candidate, CandidateFacts
from edgewright.config.data import Task
from edgewright.config.model import ModelSpec
from edgewright.data.dataset import Dataset

Array = NDArray[Any]


class Framework(ABC):
    """One training framework."""

    name: ClassVar[str]
    requires: ClassVar[tuple[str, ...]]
    install: ClassVar[str]
    layouts: ClassVar[Mapping[int, str]]
    """Rank of one preprocessed sample to the framework's layout of a batch, such as {3: 'NCHW', 2: 'NCL', 1: 'NF'}."""
    architectures: ClassVar[tuple[str, ...]]
    """Names of the shipped models."""

    @abstractmethod
    def check(self, spec: ModelSpec, task: Task, sample: tuple[int, ...], outputs: int) -> None:
        """Build the model and run one sample of zeros through it, without training.

        Raises:
            ModelError: it does not build, does not take the sample, or its output does not fit the labels.
        """

    @abstractmethod
    def train(self, spec: ModelSpec, data: Dataset, seed: int, metric: str, out: Path, checkpoints: Path) -> CandidateFacts:
        """Train (or only load the weights, when the spec asks for no training) and write the weights into ``out``.

        A checkpoint is written into ``checkpoints`` after each epoch; training resumes from the newest one there.

        Raises:
            ModelError: the model does not fit the data, or the loss is not finite.
        """

    @abstractmethod
    def load(self, candidate: Candidate) -> Any:
        """Return the live model in inference mode."""

    @abstractmethod
    def predict(self, model: Any, inputs: Array) -> Array:
        """Run float32 inputs (N, …) in the framework's layout; return float32 outputs as `edgewright.metrics` wants them."""
