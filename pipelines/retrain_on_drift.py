# SPDX-License-Identifier: Apache-2.0
"""retrain_on_drift: where devices' data have drifted, train on new data too and release again. Read it top to bottom."""

from datetime import UTC, datetime

from rich.console import Console
from zenml import pipeline
from zenml.enums import ExecutionMode

from edgewright.data.load import source_digest
from edgewright.errors import GateRefused
from edgewright.pipelines.conclude import tracking_of
from edgewright.pipelines.config_argument import RetrainArgument, required
from edgewright.pipelines.drift_check import check_drift
from edgewright.pipelines.edge_release import release_to_targets
from edgewright.preflight import preflight
from edgewright.retraining import Retraining, require_balance, require_rested
from edgewright.steps.load_data import load_data


@pipeline(dynamic=True, execution_mode=ExecutionMode.CONTINUE_ON_FAILURE)
def retrain_on_drift(config: RetrainArgument = None) -> None:
    """Check for drift; where there is some, retrain on old and new data and send it through the same ladder and gate.

    Raises:
        DriftFound: there is drift, and the guard holds retraining back (exit code 10).
        GateRefused: at least one target was not promoted.
        EdgewrightError: the input is wrong, or a store cannot be read or written.
    """
    retrain = required(config, "retrain.yaml")
    release = retrain.released
    preflight(release)
    checked = check_drift(retrain.drift)
    if checked.facts.verdict != "drift":
        Console().print(f"{checked.facts.verdict}: nothing is trained")
        return

    # ---- may it, and on this data? ----
    _, tracker = tracking_of(release)
    begun = Retraining(release=release.name, data=source_digest(release.data), check=checked.run, began=datetime.now(UTC))
    require_rested(tracker.retrainings(release.name), begun.data, retrain.guard, begun.began)
    dataset = load_data(release.data, release.task, release.seed, begun.data).load()
    require_balance(dataset, retrain.new_data.name, retrain.guard)

    # ---- the same ladder, the same gate ----
    run = tracker.begin_retraining(begun)
    try:
        release_to_targets(release)
    except GateRefused:
        tracker.end_retraining(run, "refused")
        raise
    tracker.end_retraining(run, "promoted")
