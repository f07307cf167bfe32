# SPDX-License-Identifier: Apache-2.0
"""ReleaseConfig: the whole of release.yaml."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from edgewright.config.base import Config, Name
from edgewright.config.data import DataSpec, Task
from edgewright.config.gate import GateConfig, Measuring
from edgewright.config.model import ModelSpec
from edgewright.config.recipe import Ladder
from edgewright.config.target import Target
from edgewright.credentials import holds_password
from edgewright.metrics import METRICS, default_metric


class Tracking(Config):
    """Where runs are recorded and artifacts are promoted."""

    uri: str | None = None
    """MLflow tracking URI; left out, MLFLOW_TRACKING_URI, and without that a sqlite file in the output folder."""
    experiment: str = "edgewright"
    policy: str | None = None
    """policy.yaml: which keys may promote, roll back and override which models; left out, any key, and no overrides."""

    @field_validator("uri")
    @classmethod
    def _without_password(cls, uri: str | None) -> str | None:
        if uri is not None and holds_password(uri):
            raise ValueError("it holds a password, which reports and runs would show; put the URI into MLFLOW_TRACKING_URI")
        return uri


class Signing(Config):
    """Which key signs the bundles of what passed."""

    key: str | None = None
    """Private key: 'file:release.pem', 'env:VARIABLE' (the PEM text), or a token or key service ('hsm:', 'awskms:',
    'azurekms:', 'gcpkms:', 'hv:'); left out, a key of your own, made once in ~/.config/edgewright."""
    public_key: str | None = None
    """PEM file of its public key, which a token or key service needs; a token's PIN is in the variable EDGEWRIGHT_HSM_PIN."""
    model_signing: bool = False
    """Leave an OpenSSF model signature beside each bundle too, <target>.model.sig; the key is an ECDSA key then."""

    @model_validator(mode="after")
    def _own_key_signs_no_models(self) -> Self:
        if self.model_signing and self.key is None:
            raise ValueError("it needs an ECDSA key, and your own is ed25519: name one as signing.key")
        return self


class Search(Config):
    """How far a target with an objective climbs on after a rung has met its budget."""

    trials: Annotated[int, Field(gt=0)] = 12
    """Rungs it tries at most."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """Minutes of training for its rungs after which none is begun; left out, the trials alone are the limit."""


class ReleaseConfig(Config):
    """Everything one release needs. Relative paths are taken from the folder of release.yaml."""

    name: Name = "release"
    """Name of the release; models are registered as <name>-<target>."""
    task: Task = "classification"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seeds splits, training, calibration choice and bootstrap."""
    data: DataSpec = DataSpec()
    model: ModelSpec = ModelSpec()
    metric: str | None = None
    """'top1', 'macro_f1', 'auc', 'mae' or 'module:function'; left out: top1, mae or auc, by the task."""
    ladder: Ladder = "auto"
    """Recipes in the order they are tried; each target stops at the first that meets its budget. 'auto' climbs as the field
    advises: quantize; prune too; distill into a smaller student; combinations last."""
    search: Search = Search()
    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    gate: GateConfig = GateConfig()
    measuring: Measuring = Measuring()
    tracking: Tracking = Tracking()
    signing: Signing = Signing()
    output: str = "edgewright-out"
    """Folder for report, release.json and the promoted artifacts."""

    @field_validator("model")
    @classmethod
    def _weights_or_training(cls, model: ModelSpec) -> ModelSpec:
        if model.training is None and model.weights is None and model.file is None:
            raise ValueError("'training: null' needs 'weights': there is nothing to release otherwise")
        return model

    @field_validator("targets")
    @classmethod
    def _distinct(cls, targets: tuple[Target, ...]) -> tuple[Target, ...]:
        names = [target.name for target in targets]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two targets are called {twice[0]!r}; names must differ")
        return targets

    @model_validator(mode="after")
    def _metric_fits_task(self) -> Self:
        if self.metric is not None and ":" not in self.metric:
            known = METRICS.get(self.metric)
            if known is None:
                raise ValueError(f"metric {self.metric!r} is unknown; valid: {', '.join(METRICS)} or 'module:function'")
            if self.task not in known.tasks:
                raise ValueError(f"metric {self.metric!r} does not fit task {self.task!r}; it is for {', '.join(known.tasks)}")
        return self

    @property
    def metric_name(self) -> str:
        """The metric asked for, or the task's own."""
        return self.metric or default_metric(self.task)

    def ladder_of(self, target: Target) -> Ladder:
        """The target's own ladder, or the release's."""
        return target.ladder or self.ladder

    @property
    def output_folder(self) -> Path:
        """Where this release's report and artifacts go: <output>/<name>."""
        return Path(self.output) / self.name


__all__ = ["ReleaseConfig", "Signing", "Tracking"]
