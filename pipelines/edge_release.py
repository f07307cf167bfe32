# SPDX-License-Identifier: Apache-2.0
"""edge_release: from model, data and targets to gated, promoted edge artifacts. Read it top to bottom."""

from zenml import pipeline
from zenml.enums import ExecutionMode

from edgewright.config import ReleaseConfig
from edgewright.config.target import Targets
from edgewright.data.load import source_digest
from edgewright.fingerprint import of_plugin
from edgewright.gate.verdict import Verdict
from edgewright.pipelines.begin import champions_of, release_folder, starting_weights, tracking_of, with_key
from edgewright.pipelines.climb import Climb
from edgewright.pipelines.conclude import conclude
from edgewright.pipelines.config_argument import ReleaseArgument, required
from edgewright.pipelines.context import Context, Model
from edgewright.pipelines.plain_inputs import outside_the_key, plain_inputs_as_parameters
from edgewright.pipelines.release_facts import facts_of
from edgewright.pipelines.rungs import Rungs
from edgewright.pipelines.termination import ends_on_sigterm
from edgewright.plugins import find
from edgewright.preflight import check_recipes, preflight
from edgewright.promotion.place import require_promoter
from edgewright.stats.multiplicity import spend
from edgewright.steps.judge_look import judge_look
from edgewright.steps.load_data import load_data
from edgewright.steps.measure_model import measure_model
from edgewright.steps.train_baseline import train_baseline
from edgewright.steps.validate_data import validate_data


@pipeline(dynamic=True, execution_mode=ExecutionMode.CONTINUE_ON_FAILURE)
def edge_release(config: ReleaseArgument = None) -> None:
    """Release one model to every target of the configuration.

    Raises:
        GateRefused: everything ran, and at least one target was not promoted.
        EdgewrightError: the input is wrong, or a store cannot be written; what had finished is kept.
    """
    release_to_targets(required(config))


def release_to_targets(release: ReleaseConfig) -> None:
    """Train or load the model, let every target climb its ladder, judge, record and promote.

    Raises:
        GateRefused: everything ran, and at least one target was not promoted.
        EdgewrightError: the input is wrong, or a store cannot be written; what had finished is kept.
    """
    preflight(release)
    release = with_key(release)
    require_promoter(release)  # else it would show after training
    with ends_on_sigterm(), plain_inputs_as_parameters(), release_folder(release) as folder:
        tracking, tracker = tracking_of(release)

        # ---- data and baseline ----
        dataset = load_data(release.data, release.task, release.seed, source_digest(release.data))
        checks = validate_data(dataset, release.data.checks, of_plugin(find("services", "great_expectations")))
        check_recipes(release, dataset.load())
        framework = of_plugin(find("frameworks", release.model.framework)) + starting_weights(release.model)
        checkpoints = outside_the_key(str(folder / ".checkpoints" / "baseline"))
        candidate = train_baseline(dataset, release.model, release.seed, release.metric_name, framework, checkpoints)
        outputs = measure_model(candidate, dataset, release.metric_name, release.seed, framework, id="measure_baseline")

        # ---- every target climbs its ladder; those that stop look at the test data together ----
        context = Context.of(release, tracking, dataset, Model(candidate, outputs), framework, folder / ".checkpoints")
        climbs = [
            Climb(context, target, champions_of(tracker, release, target), Rungs.of(context, target))
            for target in release.targets
        ]
        look_together(context, climbs)

        # ---- report, record, promote ----
        facts = facts_of(context, climbs, checks.load(), candidate.load())
        conclude(facts, climbs, context, tracker, folder)


def look_together(context: Context, climbs: list[Climb]) -> None:
    """Climb to the next stop and judge there, round after round, until all passed or no rung is left.

    All targets of a round are judged in one look, so that the correction over targets sees all of them.
    """
    release = context.config
    looks = max(climb.ladder.looks for climb in climbs)
    for look in range(1, looks + 1):
        stopped = [climb for climb in climbs if not climb.passed and climb.to_next_stop()]
        if not stopped:
            return
        verdicts: list[Verdict] = judge_look(
            [climb.stop.test for climb in stopped if climb.stop],
            [climb.stop.screening for climb in stopped if climb.stop],
            [climb.stop.champion for climb in stopped if climb.stop and climb.stop.champion],
            Targets(each=tuple(climb.target for climb in stopped)),
            context.dataset,
            context.baseline.outputs,
            release.metric_name,
            release.gate,
            release.seed,
            look,
            looks,
            id=f"judge_look_{look}",
        ).load()
        for climb, verdict in zip(stopped, verdicts, strict=True):
            climb.settle(verdict, spend(release.gate.alpha, look, looks))
