# SPDX-License-Identifier: Apache-2.0
"""The framework port: builds, trains, loads and runs live models."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from edgewright.artifact import Candidate, CandidateFacts
from edgewright.config.data import Task
from edgewright.config.model import ModelSpec
from edgewright.data.dataset import Dataset

Array = NDArray[Any]


@dataclass(frozen=True)
class ModelPassRequest:
    """What a model pass gets: the candidate it changes, what it may learn from, and where it writes."""

    candidate: Candidate
    teacher: Candidate
    """The trained float baseline."""
    data: Dataset
    options: Any
    """The pass's config type, such as Prune."""
    metric: str
    seed: int
    out: Path
    """Folder the weights are written into."""
    checkpoints: Path
    latency_ratio: Callable[[Candidate], float] | None = None
    """Median latency of another candidate on the target, as a multiple of this one's; None where no target is given."""


ModelPass = Callable[[ModelPassRequest], CandidateFacts]


class Framework(ABC):
    """One training framework."""

    name: ClassVar[str]
    requires: ClassVar[tuple[str, ...]]
    install: ClassVar[str]
    layouts: ClassVar[Mapping[int, str]]
    """Rank of one preprocessed sample to the framework's layout of a batch, such as {3: 'NCHW', 2: 'NCL', 1: 'NF'}."""
    architectures: ClassVar[tuple[str, ...]]
    """Names of the shipped models."""

    @property
    def passes(self) -> Mapping[type[Any], ModelPass]:
        """Pass config type to the one function that performs it on a candidate and writes the new weights."""
        return {}

    def check_pass(  # noqa: B027 - a framework without passes has nothing to check
        self, step: Any, spec: ModelSpec, task: Task, sample: tuple[int, ...], outputs: int
    ) -> None:
        """Make sure, without training, that a pass can be performed on the model: its student builds, its teacher loads.

        Raises:
            ModelError: it cannot; the message says what to write instead.
        """

    def students(
        self,
        spec: ModelSpec,  # noqa: ARG002
        sample: tuple[int, ...],  # noqa: ARG002
        outputs: int,  # noqa: ARG002
    ) -> tuple[tuple[str, dict[str, Any]], ...]:
        """Architectures with options that `ladder: auto` may distill the model into, largest first."""
        return ()

    def files(self, spec: ModelSpec) -> tuple[Path, ...]:
        """Return the files that a model starts from; with another content it is another model."""
        return (Path(spec.weights),) if spec.weights else ()

    def supports(self, kind: str) -> bool:
        """Whether a pass, by its kind, can be performed."""
        return any(config.model_fields["kind"].default == kind for config in self.passes)

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
