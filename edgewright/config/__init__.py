# SPDX-License-Identifier: Apache-2.0
"""release.yaml as types: one strict, frozen pydantic model a section (docs/reference/config.md)."""

from edgewright.config.base import Config, Name
from edgewright.config.data import SPLITS, DataChecks, DataSpec, Preprocessing, SplitName, Splits, Task
from edgewright.config.gate import GateConfig, Measuring, ParityLimits
from edgewright.config.model import ModelSpec, Schedule, Training
from edgewright.config.release import ReleaseConfig, Signing, Tracking
from edgewright.config.target import Budget, Target

__all__ = [
    "SPLITS",
    "Budget",
    "Config",
    "DataChecks",
    "DataSpec",
    "GateConfig",
    "Measuring",
    "ModelSpec",
    "Name",
    "ParityLimits",
    "Preprocessing",
    "ReleaseConfig",
    "Schedule",
    "Signing",
    "SplitName",
    "Splits",
    "Target",
    "Task",
    "Tracking",
    "Training",
]
