# SPDX-License-Identifier: Apache-2.0
"""Target: where an artifact has to run, and the budget it has to keep there."""

from typing import Annotated, Any, Literal

from pydantic import Field

from edgewright.config.base import Config, Name
from edgewright.config.recipe import Ladder

Limit = Annotated[float, Field(gt=0)]


class Budget(Config):
    """Hard limits. A limit that is left out is not checked, except the accuracy drop, which has a default."""

    max_accuracy_drop: Annotated[float, Field(ge=0)] = 0.02
    """Largest loss against the float baseline, in the metric's own unit (0.02 = 2 percentage points of top-1)."""
    min_class_accuracy: Annotated[float, Field(gt=0, le=1)] | None = None
    """Floor for the worst class's accuracy (classification)."""
    latency_p50_ms: Limit | None = None
    latency_p95_ms: Limit | None = None
    latency_p99_ms: Limit | None = None
    size_bytes: Annotated[int, Field(gt=0)] | None = None
    """All files of the artifact together."""
    peak_memory_bytes: Annotated[int, Field(gt=0)] | None = None
    """Peak memory above the idle process; for TFLite Micro the tensor arena."""


class Target(Config):
    """One place the model is released to."""

    name: Name
    runtime: str
    """Name of an installed runtime, or 'module:Class' of your own."""
    device: str = "local"
    """Name of an installed device, or 'module:Class' of your own."""
    budget: Budget = Budget()
    ladder: Ladder | None = None
    """Recipes in the order they are tried, for this target alone; left out, the release's ladder is used."""
    objective: Literal["smallest", "fastest", "least_memory"] | None = None
    """Climb on after the budget is met, as far as `search` allows, and take the best in this; it may also be bought with the
    others when an artifact trades (smaller but slower). Left out, the first rung that meets the budget is taken."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the runtime."""
    device_options: dict[str, Any] = Field(default_factory=dict)
    """Options of the device."""


class Targets(Config):
    """Several targets as one value: ZenML hashes models by content, and lists of models not at all."""

    each: tuple[Target, ...]
