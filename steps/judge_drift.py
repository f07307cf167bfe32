# SPDX-License-Identifier: Apache-2.0
"""Check the reports of a fleet, and hold what they say against the references."""

from typing import Annotated

from zenml import step

from edgewright.config.drift import DriftConfig
from edgewright.drift.facts import DriftFacts
from edgewright.drift.fleet import Fleet
from edgewright.drift.judge import judge
from edgewright.drift.reference import Reference
from edgewright.plugins import create
from edgewright.progress import stage


@step(enable_cache=False)
def judge_drift(fleet: Fleet, references: dict[str, Reference], config: DriftConfig) -> Annotated[DriftFacts, "drift"]:
    """Judge a fleet; rules that its reports break stand in the facts."""
    with stage("Checking the reports"):
        checks = create("services", "great_expectations").check_reports(fleet, config.checks)
    return judge(fleet, references, config.levels, checks, config.name)
