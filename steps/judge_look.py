# SPDX-License-Identifier: Apache-2.0
"""One look at the test data: the gate over all targets that have come to a stop on their ladders."""

from typing import Annotated

from zenml import step

from edgewright.config import GateConfig
from edgewright.config.target import Targets
from edgewright.data.dataset import Dataset
from edgewright.fingerprint import of_code
from edgewright.gate.judge import Look, judge
from edgewright.gate.verdict import Verdict
from edgewright.metrics import metric as find_metric
from edgewright.progress import stage
from edgewright.stats.paired import compare
from edgewright.steps.caching import policy
from edgewright.validation import Baseline, ValidationRun


def _code() -> str:
    return of_code("edgewright.steps.judge_look")


@step(cache_policy=policy("edgewright.steps.judge_look._code"))
def judge_look(
    tests: list[ValidationRun],
    screenings: list[Verdict],
    champions: list[ValidationRun],
    targets: Targets,
    dataset: Dataset,
    baseline: Baseline,
    metric: str,
    gate: GateConfig,
    seed: int,
    look: int,
    looks: int,
) -> Annotated[list[Verdict], "verdicts"]:
    """Judge the targets' test runs together, in the order of ``targets``; champions are matched by target name."""
    labels, before, judged_by = dataset.labels("test"), baseline.outputs("test"), find_metric(metric)
    champion_of = {run.facts.target: run for run in champions}
    evidence = {}
    with stage(f"Judging on test data, look {look} of at most {looks}"):
        for target, test, screening in zip(targets.each, tests, screenings, strict=True):
            champion, every = champion_of.get(target.name), test.facts.fleet or (test.facts,)
            evidence[target.name] = {
                device: Look(
                    target=target,
                    difference=compare(judged_by, labels, before, after, seed),
                    champion={
                        batch: compare(judged_by, labels[rows], champion.outputs(device)[rows], after[rows], seed)
                        for batch, rows in dataset.rows_of_batches("test").items()
                    }
                    if champion
                    else {},
                    class_counts=_class_counts(dataset, after),
                    parity=facts.parity,
                    screening=screening,
                    saturates=facts.device.saturates,
                )
                for facts, (device, after) in zip(every, test.outputs_by_device().items(), strict=True)
            }
        verdicts = judge(evidence, gate, look, looks)
    return [verdicts[target.name] for target in targets.each]


def _class_counts(dataset: Dataset, outputs: object) -> dict[str, tuple[int, int]]:
    """Class name to (correct, total) on test data; empty where there are no classes."""
    if dataset.card.task != "classification":
        return {}
    labels, answers = dataset.labels("test"), outputs.argmax(axis=1)  # type: ignore[attr-defined]
    return {
        name: (int(((labels == index) & (answers == index)).sum()), int((labels == index).sum()))
        for index, name in enumerate(dataset.card.labels)
    }
