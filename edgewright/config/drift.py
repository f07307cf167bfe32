# SPDX-License-Identifier: Apache-2.0
"""drift.yaml as types: what a drift check reads, how sure it has to be, and what the reports themselves must keep."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from edgewright.config.base import Config, Name
from edgewright.config.load_as import load_as
from edgewright.config.release import Tracking

Share = Annotated[float, Field(gt=0, lt=1)]


class DriftLevels(Config):
    """When devices' data count as drifted."""

    alpha: Annotated[float, Field(gt=0, le=0.5)] = 0.01
    """Probability that a check raises a false alarm, over all targets, slices, features and windows together."""
    material: Share = 0.1
    """Size of a difference from which it is 'drift'; what is significant and smaller is 'watch'. It is a share of the samples:
    0.1 is what a shift by a quarter of a standard deviation makes of a normal feature."""
    max_device_share: Share = 0.05
    """The most of a model's or slice's samples that one device may bring; of what it sends beyond that a part counts."""

    @model_validator(mode="after")
    def _one_device_is_not_material(self) -> Self:
        if self.max_device_share >= self.material:
            raise ValueError(
                f"max_device_share {self.max_device_share:g} must be below material {self.material:g}: "
                "one device alone would make drift"
            )
        return self


class ReportChecks(Config):
    """Rules that the reports of the last day must keep; with one broken there is no verdict."""

    min_devices: Annotated[int, Field(ge=1)] = 1
    """Devices that have reported."""
    min_samples: Annotated[int, Field(ge=1)] = 100
    """Samples of all devices together."""
    max_refused: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Largest share of the reports that may be refused."""
    max_missing: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Largest share of missing values in a report, for 95 of 100 reports."""
    max_hours: Annotated[float, Field(gt=0)] = 50.0
    """Longest period of a report, for 95 of 100 reports."""


class DriftConfig(Config):
    """The whole of drift.yaml."""

    name: Name = "drift"
    """Of the check; a folder and an MLflow run are called so."""
    reports: str
    """Folder with devices' reports (.json, .cbor, or .jsonl with one a line), or one such file."""
    references: Annotated[tuple[str, ...], Field(min_length=1)]
    """Of each artifact in the field: its signed bundle, reference.json, or the folder that holds it."""
    levels: DriftLevels = DriftLevels()
    checks: ReportChecks = ReportChecks()
    tracking: Tracking = Tracking()
    output: str = "edgewright-out"
    """Folder for results; they go to <output>/<name>."""

    @property
    def output_folder(self) -> Path:
        """Where page and facts go."""
        return Path(self.output) / self.name


def load_drift_config(path: Path) -> DriftConfig:
    """Load and check a drift.yaml, in ZenML's form (`parameters: config: …`) or bare.

    Raises:
        ConfigError: all problems of the file, each with its line.
    """
    return load_as(DriftConfig, path)
