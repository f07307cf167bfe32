# SPDX-License-Identifier: Apache-2.0
"""What a fleet has reported, merged: groups of devices, the heads of the reports, and those that were refused."""

from typing import Literal

from pydantic import Field

from edgewright.measure import Frozen

Window = Literal["day", "week"]


class Merged(Frozen):
    """One number of all samples of a group: a sketch of them, or randomized answers."""

    n: float = Field(description="Values that count; of devices beyond their share, a part of theirs.")
    missing: float
    kll: str | None = Field(default=None, description="KLL sketch of floats as DataSketches serializes it, base64.")
    buckets: tuple[float, ...] = Field(default=(), description="Randomized answers by bucket; the last one is 'missing'.")


class Group(Frozen):
    """What devices have reported together."""

    model: str = Field(description="Digest of the artifact.")
    slice: str | None = Field(description="None: all devices.")
    epsilon: float | None
    window: Window = Field(description="The last day, or the last week with that day in it.")
    devices: int
    samples: float = Field(description="That count.")
    largest_share: float = Field(description="Of the device that counts most.")
    features: dict[str, Merged]
    classes: tuple[float, ...] | None


class ReportHead(Frozen):
    """One report that was taken, without its numbers: what rules about reports are held against."""

    origin: str = Field(description="File, and line where it holds several.")
    model: str
    device: str
    slice: str
    day: bool = Field(description="Whether it is of the last day.")
    hours: float = Field(description="Length of its period.")
    samples: int
    missing: float = Field(description="Share of missing values, of the feature that misses most.")


class Fleet(Frozen):
    """All reports of a week."""

    now: float = Field(description="When they were read, in seconds since 1970, UTC.")
    heads: tuple[ReportHead, ...]
    old: int = Field(description="Reports older than a week, which are not looked at.")
    refused: dict[str, int] = Field(description="How many were not taken, by reason.")
    examples: dict[str, tuple[str, ...]] = Field(description="The first few of each reason.")
    groups: tuple[Group, ...]
