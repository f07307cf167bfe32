# SPDX-License-Identifier: Apache-2.0
"""retrain.yaml as types: what is watched, what is released again when it drifts, and what holds that back."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from edgewright.config.base import Config
from edgewright.config.data import AddedData
from edgewright.config.drift import DriftConfig
from edgewright.config.explain import explain
from edgewright.config.load import load_config
from edgewright.config.load_as import load_as
from edgewright.config.release import ReleaseConfig
from edgewright.errors import ConfigError


class Guard(Config):
    """What keeps retraining from running wild."""

    cool_down_hours: Annotated[float, Field(ge=0)] = 24.0
    """Hours from the beginning of one retraining to the next."""
    max_runs: Annotated[int, Field(ge=1)] = 4
    """Retrainings within ``days``, finished or not."""
    days: Annotated[float, Field(gt=0)] = 30.0
    """Over how many days they are counted."""
    max_new_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Largest share of the training samples that new data may make up."""


class RetrainConfig(Config):
    """The whole of retrain.yaml."""

    drift: DriftConfig
    """The check that decides; as drift.yaml."""
    release: str | ReleaseConfig
    """What is released again: a release.yaml, or its content."""
    new_data: AddedData
    """Labelled samples of what devices see now."""
    start: Literal["scratch", "warm"] = "scratch"
    """Which weights training begins from: 'scratch', those that the release names or else chance; 'warm', those of the float
    baseline that the present champion was made of."""
    guard: Guard = Guard()

    @model_validator(mode="after")
    def _new_batch(self) -> Self:
        if isinstance(self.release, ReleaseConfig) and self.new_data.name in {one.name for one in self.release.data.added}:
            raise ValueError(f"release.data.added has a batch {self.new_data.name!r} already: give new_data another name")
        return self

    @property
    def released(self) -> ReleaseConfig:
        """The release with the new data added.

        Raises:
            ConfigError: its file is no release.yaml, has a batch of that name already, or trains nothing that could start warm.
        """
        given = load_config(Path(self.release)) if isinstance(self.release, str) else self.release
        if self.start == "warm" and given.model.training is None:
            raise ConfigError(
                "a warm start needs a training to begin, and the release has none",
                where="start: warm; in the release, model.training is null or model.file is set",
                to_do="give the release a model with a training, or leave 'start' out",
            )
        document = given.model_dump(mode="json")
        document["data"]["added"] = [*document["data"]["added"], self.new_data.model_dump(mode="json")]
        try:
            return ReleaseConfig.model_validate(document)
        except ValidationError as error:
            raise ConfigError(
                explain(error, "release with new_data", root=ReleaseConfig), to_do="give new_data a name of its own"
            ) from None


def load_retrain_config(path: Path) -> RetrainConfig:
    """Load and check a retrain.yaml, in ZenML's form (`parameters: config: …`) or bare.

    Raises:
        ConfigError: all problems of the file, each with its line.
    """
    return load_as(RetrainConfig, path)
