# SPDX-License-Identifier: Apache-2.0
"""DriftFacts: everything a drift check found out. drift.json is this; page, table and MLflow run are drawn from it."""

from typing import Literal

from pydantic import Field

from edgewright.drift.fleet import Window
from edgewright.measure import Frozen
from edgewright.report.facts import CheckResult

DriftVerdict = Literal["none", "watch", "drift"]


class Shares(Frozen):
    """What a picture shows: shares by interval of a number, or by class."""

    edges: tuple[float, ...] = Field(default=(), description="Of the intervals; one more than there are shares.")
    names: tuple[str, ...] = Field(default=(), description="Of the classes or buckets.")
    reference: tuple[float, ...]
    devices: tuple[float, ...]


class FeatureDrift(Frozen):
    """One number, or the classes, of a group of devices against the reference."""

    name: str
    verdict: DriftVerdict
    size: float = Field(
        description="Largest difference in the share of samples for which something holds, less error and chance."
    )
    p_value: float
    level: float = Field(description="Holm's: drift is significant where p_value is at most this.")
    psi: float = Field(description="Population stability index, nats.")
    js: float = Field(description="Jensen-Shannon divergence, bits.")
    ks: float | None = Field(description="Kolmogorov-Smirnov distance as observed; None for shares.")
    error: float = Field(description="What ks may be off by because of sketches.")
    n: float
    missing: float
    shares: Shares


class GroupDrift(Frozen):
    """One group of devices."""

    target: str
    model: str
    slice: str | None = Field(description="None: all devices of the target.")
    epsilon: float | None
    window: Window
    verdict: DriftVerdict
    devices: int
    samples: float
    largest_share: float
    features: tuple[FeatureDrift, ...]


class DriftFacts(Frozen):
    """Everything one check found out."""

    schema_version: Literal[1] = 1
    edgewright: str
    name: str
    now: str = Field(description="ISO 8601, UTC.")
    verdict: DriftVerdict
    alpha: float = Field(description="Probability of a false alarm of this check, over all of its tests.")
    material: float = Field(description="Size from which significant drift is 'drift', and not 'watch'.")
    max_device_share: float
    tests: int
    references: dict[str, str] = Field(description="Target to the digest of its artifact.")
    reports: int
    old: int
    refused: dict[str, int]
    examples: dict[str, tuple[str, ...]]
    checks: tuple[CheckResult, ...]
    groups: tuple[GroupDrift, ...]
