# SPDX-License-Identifier: Apache-2.0
"""Judge an exported file on its own: no training, no ladder, no registry; the same device, statistics and rules.

A reference (the float file, of whatever format, or outputs that were kept) lets parity and accuracy be judged as in a
release; worth needs the file. Without one there is nothing to compare with: the file's own outputs must be sound, and only
size, latency, memory and the worst class can be held to a budget.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgewright.artifact import Artifact
from edgewright.bench import bench_of
from edgewright.bundle import PAGE
from edgewright.claims import check_claims
from edgewright.config import GateConfig, Measuring, Target
from edgewright.data.dataset import Dataset
from edgewright.errors import ConfigError, nearest
from edgewright.gate.judge import Look, judge
from edgewright.gate.limits import energy_findings, latency_findings, memory_findings, size_findings
from edgewright.gate.sanity import sanity_findings
from edgewright.gate.screen import screen
from edgewright.gate.verdict import Finding, Verdict
from edgewright.gate.worst_class import ClassCounts, worst_class
from edgewright.metrics import metric as find_metric
from edgewright.plugins import find
from edgewright.stats.paired import compare
from edgewright.validate import finite, validate_artifact
from edgewright.validation import ValidationFacts

Array = NDArray[Any]


@dataclass(frozen=True)
class Question:
    """What is asked of a file: on which data, for which target, how sure."""

    dataset: Dataset
    """Its test split is what the file is judged on."""
    target: Target
    metric: str
    measuring: Measuring
    gate: GateConfig
    seed: int


Reference = Artifact | Array
"""The float file, or the outputs that it, or anything else, gave of the same samples."""


@dataclass(frozen=True)
class Judgement:
    """What came of a file."""

    facts: ValidationFacts
    verdict: Verdict
    outputs: Array
    """Of every test sample."""


def judge_file(artifact: Artifact, reference: Reference | None, question: Question) -> Judgement:
    """Run the file on the target's device and hold it to the budget.

    Raises:
        ConfigError: an accuracy drop is to be judged without a reference.
        ExportError: the file is not what its manifest claims.
        DeviceError: the device could not run it.
    """
    budget = question.target.budget
    if reference is None and "max_accuracy_drop" in budget.model_fields_set:
        raise ConfigError(
            "an accuracy drop is asked for, and there is nothing to drop from",
            where="budget.max_accuracy_drop",
            to_do="name the float file it was made from: --reference FILE",
        )
    parent: Artifact | None = None
    before: Array | None = None
    if isinstance(reference, Artifact):
        parent, before = reference, _outputs(reference, _place_of_reference(question))
    else:
        before = reference
    with tempfile.TemporaryDirectory(prefix="edgewright-validate-") as folder:
        run = validate_artifact(
            artifact, parent, question.dataset, "test", before, question.target, question.metric,
            question.measuring, question.seed, Path(folder),
        )  # fmt: skip
        after = run.outputs()
    counts = class_counts(question.dataset, after)
    if before is None:
        return Judgement(run.facts, Verdict(findings=_alone(run.facts, counts, question)), after)
    difference = compare(find_metric(question.metric), question.dataset.labels("test"), before, after, question.seed)
    itself = parent is not None and artifact.digest == parent.digest
    screening = screen(question.target, run.facts, -difference.value, question.gate, itself)
    look = Look(question.target, difference, {}, run.facts.parity, screening, counts, run.facts.device.saturates)
    verdict = judge({question.target.name: look}, question.gate, 1, 1)[question.target.name]
    if parent is None:  # outputs have no size and no speed: nothing says whether the file is worth it
        verdict = Verdict(findings=tuple(finding for finding in verdict.findings if finding.rule != "worth_it"))
    return Judgement(run.facts, verdict, after)


def find_artifact(path: Path) -> Artifact | None:
    """Open the artifact that ``path`` is (a folder) or is the main file of; None for a file without a manifest.

    Raises:
        ConfigError: there is no such file, or the folder holds no artifact.
        StoreError: the artifact was changed.
    """
    if not path.exists():
        others = [file.name for file in path.absolute().parent.glob("*") if file.suffix == path.suffix]
        to_do = nearest(path.name, others) if others else "name an exported file, or the folder of an artifact"
        raise ConfigError(f"there is no file {path.name!r}", where=str(path.absolute()), to_do=to_do)
    if (path / PAGE).is_file():
        return Artifact.open(path)
    if path.is_dir() and not path.suffix:  # with one it is a format whose files are folders, such as .mlpackage
        raise ConfigError(f"the folder holds no artifact: {PAGE} is missing", where=str(path), to_do="name the file in it")
    if not (path.parent / PAGE).is_file():
        return None
    artifact = Artifact.open(path.parent)
    return artifact if path.name == artifact.facts.file else None


def class_counts(dataset: Dataset, outputs: Array) -> dict[str, tuple[int, int]]:
    """Class name to (answered right, samples) on test data; empty where there are no classes."""
    if dataset.card.task != "classification":
        return {}
    labels, answers = dataset.labels("test"), outputs.argmax(axis=1)
    return {
        name: (int(((labels == index) & (answers == index)).sum()), int((labels == index).sum()))
        for index, name in enumerate(dataset.card.labels)
    }


def _place_of_reference(question: Question) -> Question:
    """Where the reference is run for its outputs: here, when the device only answers from what was handed in."""
    if not find("devices", question.target.device).recorded:
        return question
    return replace(question, target=question.target.model_copy(update={"device": "local", "device_options": {}, "fleet": None}))


def _outputs(reference: Artifact, question: Question) -> Array:
    bench = bench_of(question.target, question.measuring).for_file(reference)
    stored = question.dataset.stored("test")
    check_claims(reference, bench.runtime, stored)
    _, outputs = bench.probe(reference, stored, timing=False)
    return finite(outputs)


def _alone(facts: ValidationFacts, counts: ClassCounts, question: Question) -> tuple[Finding, ...]:
    """What can be said of a file without a reference."""
    budget, gate = question.target.budget, question.gate
    limits = (size_findings, latency_findings, memory_findings, energy_findings)
    findings = [finding for of_limit in limits for finding in of_limit(budget, facts)]
    if budget.min_class_accuracy is not None:
        findings.append(worst_class(counts, budget.min_class_accuracy, gate.alpha, gate.power))
    return (*findings, *sanity_findings(facts.sanity, gate.parity, with_reference=False))
