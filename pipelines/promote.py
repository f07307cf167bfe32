# SPDX-License-Identifier: Apache-2.0
"""promote: make what a finished release offers the champion, as `edgewright promote` does."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import ValidationError, WrapValidator
from zenml import pipeline

from edgewright.config.explain import explain
from edgewright.config.promotion import PromotionConfig
from edgewright.errors import ConfigError
from edgewright.steps.promote_artifact import promote_artifact


def _explained(value: Any, validate: Callable[[Any], PromotionConfig]) -> PromotionConfig:
    try:
        return validate(value)
    except ValidationError as error:
        raise ConfigError(explain(error, "parameters.config", root=PromotionConfig)) from None


@pipeline(dynamic=True)
def promote(config: Annotated[PromotionConfig | None, WrapValidator(_explained)] = None) -> None:
    """Promote one target of one release.

    Raises:
        GateRefused: something speaks against it, the policy forbids it, or another promotion was faster.
        EdgewrightError: the input is wrong, or a store cannot be reached.
    """
    if config is None:
        raise ConfigError(
            "the pipeline was given no configuration", where="parameters.config", to_do="name a release in promote.yaml"
        )
    promote_artifact(config)
