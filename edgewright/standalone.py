# SPDX-License-Identifier: Apache-2.0
"""Judge an exported file on its own: no training, no ladder, no registry; the same device, statistics and rules.

With a reference (the float file, run by the same runtime) parity, accuracy and worth are judged as in a release.
Without one there is nothing to compare with: only size, latency, memory and the worst class can be held to a budget.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.artifact import Artifact, ArtifactManifest
from edgewright.bench import bench_of
from edgewright.bundle import PAGE, copy_whole, size_of
from edgewright.config import DataSpec, GateConfig, Measuring, Target
from edgewright.config.data import Splits
from edgewright.data.dataset import Dataset
from edgewright.errors import ConfigError, DeviceError, nearest
from edgewright.gate.judge import Look, judge
from edgewright.gate.limits import latency_findings, memory_findings, size_findings
from edgewright.gate.screen import screen
from edgewright.gate.verdict import Finding, Verdict
from edgewright.gate.worst_class import ClassCounts, worst_class
from edgewright.metrics import metric as find_metric
from edgewright.plugins import create, find
from edgewright.stats.paired import compare
from edgewright.validate import validate_artifact
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


def judge_file(artifact: Artifact, reference: Artifact | None, question: Question) -> tuple[ValidationFacts, Verdict]:
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
    before = _outputs(reference, _place_of_reference(question)) if reference else _outputs(artifact, question)
    with tempfile.TemporaryDirectory(prefix="edgewright-validate-") as folder:
        run = validate_artifact(
            artifact, reference or artifact, question.dataset, "test", before, question.target, question.metric,
            question.measuring, question.seed, Path(folder),
        )  # fmt: skip
        after = run.outputs()
    counts = class_counts(question.dataset, after)
    if reference is None:
        return run.facts, Verdict(findings=_limits(run.facts, counts, question))
    difference = compare(find_metric(question.metric), question.dataset.labels("test"), before, after, question.seed)
    screening = screen(question.target, run.facts, -difference.value, question.gate, artifact.digest == reference.digest)
    look = Look(question.target, difference, None, run.facts.parity, screening, counts)
    return run.facts, judge({question.target.name: look}, question.gate, 1, 1)[question.target.name]


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


def describe(file: Path, runtime: str, dataset: Dataset, out: Path) -> Artifact:
    """Make an artifact of a bare file: tensors as the file declares them, preprocessing and labels as the data's.

    Raises:
        ExportError: the runtime cannot read the file.
    """
    executing, card = create("runtimes", runtime), dataset.card
    signature = executing.inspect(file)
    copies = [out / part.name for part in executing.files(file)]
    for part, copy in zip(executing.files(file), copies, strict=True):
        copy_whole(part, copy)
    manifest = ArtifactManifest(
        format=executing.format,
        file=file.name,
        size_bytes=sum(size_of(copy) for copy in copies),
        recipe=file.stem,
        task=card.task,
        inputs=signature.inputs,
        outputs=signature.outputs,
        preprocessing=card.preprocessing,
        labels=card.labels,
        toolchain={},
        parent="unknown",
    )
    return Artifact.seal(out, manifest)


def all_of_it(spec: DataSpec) -> DataSpec:
    """Take the whole source as test data, unless it brings a test split of its own."""
    if spec.source.endswith(".npz") and Path(spec.source).is_file():
        with np.load(spec.source, allow_pickle=False) as archive:
            if "x_test" in archive.files:
                return spec
    return spec.model_copy(update={"splits": Splits(test=spec.source)})


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
    return replace(question, target=question.target.model_copy(update={"device": "local", "device_options": {}}))


def _outputs(artifact: Artifact, question: Question) -> Array:
    bench = bench_of(question.target, question.measuring)
    _, outputs = bench.probe(artifact, question.dataset.stored("test"), timing=False)
    if outputs is None:
        raise DeviceError("the device brought back no outputs", where=question.target.device)
    found: Array = outputs
    return found


def _limits(facts: ValidationFacts, counts: ClassCounts, question: Question) -> tuple[Finding, ...]:
    budget, gate = question.target.budget, question.gate
    findings = [*size_findings(budget, facts), *latency_findings(budget, facts), *memory_findings(budget, facts)]
    if budget.min_class_accuracy is not None:
        findings.append(worst_class(counts, budget.min_class_accuracy, gate.alpha, gate.power))
    return tuple(findings)
