# SPDX-License-Identifier: Apache-2.0
"""Everything a release found out, put together."""

import json
from typing import Any

import numpy as np

from edgewright import __version__
from edgewright.artifact import Candidate
from edgewright.data.dataset import Dataset
from edgewright.fingerprint import of_code, toolchain
from edgewright.metrics import metric
from edgewright.pipelines.climb import Climb, outcome_of
from edgewright.pipelines.context import Context
from edgewright.plugins import create
from edgewright.report.facts import CheckResult, ConfusionChange, ReleaseFacts, TargetFacts
from edgewright.trust.keys import signer_for
from edgewright.trust.signed import SUFFIX
from edgewright.validation import Baseline


def facts_of(context: Context, climbs: list[Climb], checks: list[CheckResult], candidate: Candidate) -> ReleaseFacts:
    """Put together everything the release found out."""
    config, dataset, baseline = context.config, context.dataset.load(), context.baseline.outputs.load()
    modules = {module for target in config.targets for module in create("runtimes", target.runtime).requires}
    return ReleaseFacts(
        release=config.name,
        edgewright=__version__,
        metric=config.metric_name,
        higher_is_better=metric(config.metric_name).higher_is_better,
        config=json.loads(config.model_dump_json(exclude={"signing": True})),  # where a key lies is told to nobody
        data=dataset.card,
        data_digest=dataset.digest,
        code_digest=of_code("edgewright.pipelines.edge_release"),
        checks=tuple(checks),
        candidate=candidate.facts,
        candidate_digest=candidate.digest,
        baseline=baseline.facts.measurements,
        targets=tuple(_target_facts(climb, dataset, baseline) for climb in climbs),
        key=signer_for(config.signing).public_key.keyid,
        toolchain=toolchain(tuple(sorted({*modules, *create("frameworks", config.model.framework).requires}))),
    )


def _target_facts(climb: Climb, dataset: Dataset, baseline: Baseline) -> TargetFacts:
    rungs, target = list(climb.rungs), climb.target
    if climb.stop is not None:
        rungs[climb.stop.index] = rungs[climb.stop.index].model_copy(update={"confusion": _confusion(climb, dataset, baseline)})
    before = climb.stop.champion_before if climb.stop else None
    runtime = create("runtimes", target.runtime)
    return TargetFacts(
        name=target.name,
        runtime=target.runtime,
        device=target.device,
        runtime_versions=toolchain(runtime.runs_with or runtime.requires),
        bundle=f"artifacts/{target.name}{SUFFIX}" if climb.passed else None,
        model=f"{climb.context.config.name}-{target.name}",
        outcome=outcome_of(climb),
        passed_rung=climb.stop.index if climb.passed and climb.stop else None,
        rungs=tuple(rungs),
        budget=target.budget.model_dump(exclude_none=True),
        champion_before=before.digest if before else None,
        test_looks=climb.looks,
    )


def _confusion(climb: Climb, dataset: Dataset, baseline: Baseline) -> ConfusionChange | None:
    if dataset.card.task != "classification" or climb.stop is None:
        return None
    labels, count = dataset.labels("test"), len(dataset.card.labels)

    def table(outputs: Any) -> tuple[tuple[int, ...], ...]:
        flat = np.bincount(labels * count + outputs.argmax(axis=1), minlength=count * count)
        return tuple(tuple(int(cell) for cell in row) for row in flat.reshape(count, count))

    return ConfusionChange(
        labels=dataset.card.labels, baseline=table(baseline.outputs("test")), artifact=table(climb.stop.test.load().outputs())
    )
