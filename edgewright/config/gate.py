# SPDX-License-Identifier: Apache-2.0
"""Settings of the gate and of measuring."""

from typing import Annotated, Literal

from pydantic import Field

from edgewright.config.base import Config

Share = Annotated[float, Field(ge=0, le=1)]


class ParityLimits(Config):
    """How far an exported file may be from the float model on the same real inputs."""

    min_agreement: Share = 0.95
    """Classification: smallest share of samples on which file and float model name the same class."""
    max_saturation: Share = 0.01
    """Largest share of outputs that sit at the end of their quantized range while the float model's lie beyond it."""
    max_relative_difference: Annotated[float, Field(gt=0)] = 0.25
    """Largest difference of any output, as a share of the float outputs' range."""
    gain_tolerance: Annotated[float, Field(gt=0)] = 0.1
    """How far the slope of file against float outputs may be from 1: more is a wrong scale."""


class GateConfig(Config):
    """How sure the gate must be."""

    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Chance of promoting any artifact that breaks its accuracy margin, over all targets and all looks at the test data."""
    power: Annotated[float, Field(ge=0.5, lt=1)] = 0.8
    """When the gate says how many samples would decide it, it asks for enough to pass a faultless artifact this often."""
    champion_margin: Annotated[float, Field(ge=0)] = 0.02
    """Largest loss against the champion whose place the artifact wants."""
    parity: ParityLimits = ParityLimits()


class Measuring(Config):
    """How latency and memory are taken on a device."""

    warmup: Annotated[int, Field(ge=0)] = 10
    """Inferences before the clock starts, in each process."""
    invocations: Annotated[int, Field(gt=0)] = 100
    """Timed inferences of one sample, in each process."""
    processes: Annotated[int, Field(gt=0)] = 3
    """Fresh processes, in turn with the float parent's, so that both see the same machine."""
    threads: Annotated[int, Field(gt=0)] = 1
    """Threads the runtime may use."""
    under_load: Literal["mark", "refuse"] = "mark"
    """What becomes of times taken while the device was busy (a load average above 1 a core): they say so, or the rung fails."""
