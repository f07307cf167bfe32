# SPDX-License-Identifier: Apache-2.0
"""One number with all that is needed to believe it: unit, n, interval, evidence, device.

A number nobody took is absent, and shown as `unknown`; it is never 0 and never guessed.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Evidence = Literal["measured", "emulated", "estimated"]


THROUGHPUT = "throughput_b"
"""Begins the name of a throughput; the size of its batches follows."""


class Frozen(BaseModel):
    """Base of all facts: immutable, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class DeviceFacts(Frozen):
    """What a measurement was taken on."""

    name: str
    kind: str = Field(description="Name of the device integration, such as 'local'.")
    machine: str = Field(description="Processor name and architecture.")
    cores: int
    os: str
    threads: int = Field(description="Threads the runtime was allowed to use.")
    governor: str | None = Field(default=None, description="CPU frequency governor, when the system tells.")
    frequency_mhz: float | None = Field(
        default=None, description="Highest CPU frequency that the governor may take, when the system tells."
    )
    saturates: bool = Field(
        default=False,
        description="Whether sums of products of unsigned and signed 8-bit numbers saturate in 16 bits: x86-64 without VNNI.",
    )
    handed_in: dict[str, str] = Field(
        default_factory=dict, description="Of a recorded device: the sha256 of each file its answers were read from, by name."
    )


class Measurement(Frozen):
    """A value that was taken, with its unit, sample size, interval and evidence."""

    value: float
    unit: str = Field(description="'ms', 'bytes', 'fraction', 'LSB', 'mJ', 'samples/s', 'ratio' or the metric's own unit.")
    n: int = Field(ge=1, description="How many observations the value rests on.")
    low: float | None = Field(default=None, description="Lower end of the interval; None when there is none.")
    high: float | None = Field(default=None, description="Upper end of the interval; None when there is none.")
    confidence: float | None = Field(default=None, description="Confidence level of the interval, such as 0.95.")
    evidence: Evidence
    method: str = Field(description="How it was taken, in a few words.")

    def __str__(self) -> str:
        interval = f" [{self.low:.4g}, {self.high:.4g}]" if self.low is not None and self.high is not None else ""
        return f"{self.value:.4g} {self.unit}{interval} (n={self.n}, {self.evidence})"


def weakest(*evidence: Evidence) -> Evidence:
    """Return the weakest of several kinds of evidence: a chain is only as good as that."""
    order: list[Evidence] = ["measured", "emulated", "estimated"]
    return max(evidence, key=order.index)
