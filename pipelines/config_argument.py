# SPDX-License-Identifier: Apache-2.0
"""The one parameter of every pipeline: the whole ReleaseConfig, refused in one screen when it is wrong."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import ValidationError, WrapValidator

from edgewright.config import ReleaseConfig
from edgewright.config.load import explain
from edgewright.errors import ConfigError


def _explained(value: Any, validate: Callable[[Any], ReleaseConfig]) -> ReleaseConfig:
    try:
        return validate(value)
    except ValidationError as error:
        raise ConfigError(explain(error, "parameters.config")) from None


ReleaseArgument = Annotated[ReleaseConfig | None, WrapValidator(_explained)]


def required(config: ReleaseConfig | None) -> ReleaseConfig:
    """Return the configuration.

    Raises:
        ConfigError: there is none.
    """
    if config is None:
        raise ConfigError(
            "the pipeline was given no configuration",
            where="parameters.config",
            to_do="edgewright init, then run with -c release.yaml",
        )
    return config
