# SPDX-License-Identifier: Apache-2.0
"""drift_check: from devices' reports to a verdict. Read it top to bottom."""

import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from zenml import pipeline

from edgewright.config.drift import DriftConfig
from edgewright.drift.check import conclude, read_references, require_sound, show
from edgewright.drift.facts import DriftFacts
from edgewright.drift.page import write_drift
from edgewright.pipelines.config_argument import DriftArgument, required
from edgewright.registry import for_steps
from edgewright.steps.judge_drift import judge_drift
from edgewright.steps.merge_drift import merge_drift
from edgewright.steps.record_drift import record_drift
from edgewright.steps.report_drift import report_drift


@pipeline(dynamic=True)
def drift_check(config: DriftArgument = None) -> None:
    """Say whether the data of devices have drifted.

    Raises:
        DriftFound: they have (exit code 10).
        DriftWatched: they differ by little (exit code 11).
        EdgewrightError: the reports cannot be judged by, the input is wrong, or a store cannot be written.
    """
    checked = check_drift(required(config, "drift.yaml"))
    conclude(checked.facts, checked.page)


@dataclass(frozen=True)
class Checked:
    """What a check came to."""

    facts: DriftFacts
    page: Path
    run: str
    """Its run in the tracker."""


def check_drift(check: DriftConfig) -> Checked:
    """Merge and judge the reports, show and record the result.

    Raises:
        EdgewrightError: the reports cannot be judged by, the input is wrong, or a store cannot be written.
    """
    references = read_references(check.references)
    fleet = merge_drift(check.reports, references, time.time(), check.levels.max_device_share)
    judged = judge_drift(fleet, references, check)
    html = report_drift(judged).load()

    facts: DriftFacts = judged.load()
    page, _ = write_drift(facts, check.output_folder, html)
    run: str = record_drift(facts, for_steps(check.tracking, Path(check.output)), str(check.output_folder.absolute())).load()
    show(facts, Console())
    require_sound(facts.checks)
    return Checked(facts, page, run)
