# SPDX-License-Identifier: Apache-2.0
"""retrain_on_drift: where devices' data have drifted, train on new data too and release again. Read it top to bottom."""

from datetime import UTC, datetime

from rich.console import Console
from zenml import pipeline
from zenml.enums import ExecutionMode

from edgewright.config import ReleaseConfig
from edgewright.data.load import source_digest
from edgewright.errors import GateRefused
from edgewright.pipelines.begin import histories_of, tracking_of
from edgewright.pipelines.config_argument import RetrainArgument, required
from edgewright.pipelines.drift_check import check_drift
from edgewright.pipelines.edge_release import release_to_targets
from edgewright.preflight import preflight
from edgewright.registry import Tracker
from edgewright.retraining import Retraining, cut_short, require_balance, require_rested
from edgewright.steps.load_data import load_data
from edgewright.warm_start import release_to_start_from, started_from


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

    # ---- may it, on this data, and from which weights? ----
    _, tracker = tracking_of(release)
    data, now, before = source_digest(release.data), datetime.now(UTC), tracker.retrainings(release.name)
    require_rested(before, data, retrain.guard, now)
    dataset = load_data(release.data, release.task, release.seed, data).load()
    require_balance(dataset, retrain.new_data.name, retrain.guard)
    parent = ""
    if retrain.start == "warm":
        release, parent = warm(release, tracker, cut_short(before, data))

    # ---- the same ladder, the same gate ----
    run = tracker.begin_retraining(Retraining(release=release.name, data=data, check=checked.run, began=now, parent=parent))
    try:
        release_to_targets(release)
    except GateRefused:
        tracker.end_retraining(run, "refused")
        raise
    tracker.end_retraining(run, "promoted")


def warm(release: ReleaseConfig, tracker: Tracker, begun: Retraining | None) -> tuple[ReleaseConfig, str]:
    """Return the release with the champion's baseline as its starting weights, and the run id of that baseline's release.

    Raises:
        StoreError: there is no champion, or its baseline is gone or not what was promoted.
        ModelError: that baseline is another model than the release trains.
    """
    start = release_to_start_from(histories_of(tracker, release), begun)
    baseline = tracker.fetch_baseline(start.run_id, start.release, release.output_folder / "parents")
    Console().print(f"warm start from baseline {baseline.digest[:12]} of MLflow run {start.run_id}", highlight=False)
    return started_from(baseline, release), start.run_id
