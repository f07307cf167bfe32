# SPDX-License-Identifier: Apache-2.0
"""The one parameter of every pipeline: its whole configuration, refused in one screen when it is wrong."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ValidationError, WrapValidator

from edgewright.config import ReleaseConfig
from edgewright.config.drift import DriftConfig
from edgewright.config.load import explain
from edgewright.config.retrain import RetrainConfig
from edgewright.errors import ConfigError

ConfigT = TypeVar("ConfigT", bound=BaseModel)


def _explained(root: type[BaseModel]) -> WrapValidator:
    def validated(value: Any, validate: Callable[[Any], Any]) -> Any:
        try:
            return validate(value)
        except ValidationError as error:
            raise ConfigError(explain(error, "parameters.config", root=root)) from None

    return WrapValidator(validated)


ReleaseArgument = Annotated[ReleaseConfig | None, _explained(ReleaseConfig)]
DriftArgument = Annotated[DriftConfig | None, _explained(DriftConfig)]
RetrainArgument = Annotated[RetrainConfig | None, _explained(RetrainConfig)]


def required(config: ConfigT | None, file: str = "release.yaml") -> ConfigT:
    """Return the configuration.

    Raises:
        ConfigError: there is none.
    """
    if config is None:
        made = (
            "edgewright init, then run"
            if file == "release.yaml"
            else "write it as docs/how-to/monitor-drift.md shows, then run"
        )
        raise ConfigError(
            "the pipeline was given no configuration",
            where="parameters.config",
            to_do=f"{made}, then run with -c {file}",
        )
    return config
