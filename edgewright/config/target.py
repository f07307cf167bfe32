# SPDX-License-Identifier: Apache-2.0
"""Target: where an artifact has to run, and the budget it has to keep there."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator

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
    energy_mj: Limit | None = None
    """Energy of one inference in millijoules, idle power included; `energy` says how it is taken."""


def _seconds(given: object) -> object:
    """Read '300s', '5min' or '1h'; a plain number is seconds."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h)\s*", given) if isinstance(given, str) else None
    return float(found[1]) * _SECONDS[found[2]] if found else given


_SECONDS = {"s": 1, "min": 60, "h": 3600}
Duration = Annotated[float, BeforeValidator(_seconds), Field(ge=1)]


#: what stands beside a target's artifact and model under its name and more
_TAKEN = {
    ".bundle": "signed bundles",
    ".history": "histories in the registry",
    ".json": "sketches for drift",
    ".model.sig": "model signatures",
}


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
    batches: tuple[Annotated[int, Field(gt=0)], ...] = ()
    """Sizes of batches whose throughput is taken of the file that the gate judges, where it takes batches."""
    soak: Duration | None = None
    """Seconds ('300s', '5min') for which the file that the gate judges runs without a pause: does the device slow down?"""
    energy: str | None = None
    """'rapl': the processor's own counters (as root); or the CSV file of a meter, with the columns timestamp_s and power_w.
    Takes twenty seconds a rung."""
    fleet: Annotated[dict[Name, dict[str, Any]], Field(min_length=1)] | None = None
    """Several devices by name, each with options of its own beside `device_options`. Every one runs the artifact, and the gate
    takes the worst, rule by rule."""

    @field_validator("name")
    @classmethod
    def _no_name_of_ours(cls, name: str) -> str:
        for suffix, what in _TAKEN.items():
            if name.endswith(suffix):
                raise ValueError(f"a target's name must not end in {suffix!r}: so {what} are named; leave the ending out")
        return name

    @field_validator("fleet")
    @classmethod
    def _distinct(cls, fleet: dict[str, dict[str, Any]] | None) -> dict[str, dict[str, Any]] | None:
        seen: list[tuple[str, dict[str, Any]]] = []
        for name, options in (fleet or {}).items():
            same = next((other for other, known in seen if known == options), None)
            if same is not None:
                raise ValueError(f"{same!r} and {name!r} have the same options, so they are one device; give each its own")
            seen.append((name, options))
        return fleet

    @property
    def members(self) -> tuple[Self, ...]:
        """The target once for each device of its fleet; itself where it has none."""
        if self.fleet is None:
            return (self,)
        return tuple(self.model_copy(update={"fleet": {name: options}}) for name, options in self.fleet.items())

    @property
    def member(self) -> str:
        """Name of the first device of its fleet; empty where it has none."""
        return next(iter(self.fleet)) if self.fleet else ""

    @property
    def options_of_device(self) -> dict[str, Any]:
        """Options of its device; of a fleet, those of the first."""
        return self.device_options | (self.fleet[self.member] if self.fleet else {})


class Targets(Config):
    """Several targets as one value: ZenML hashes models by content, and lists of models not at all."""

    each: tuple[Target, ...]
