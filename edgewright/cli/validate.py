# SPDX-License-Identifier: Apache-2.0
"""`edgewright validate`: hold an exported file, whoever made it, to a budget on a device."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgewright.errors import ConfigError, GateRefused

if TYPE_CHECKING:
    from edgewright.artifact import Artifact
    from edgewright.config import Budget, ReleaseConfig, Target
    from edgewright.data.dataset import Dataset
    from edgewright.standalone import Judgement, Reference

FILE = click.Path(path_type=Path)
TASKS = ("classification", "regression", "anomaly")


@click.command()
@click.argument("file", type=FILE)
@click.option("--runtime", required=True, help="What executes the file; see: edgewright runtimes.")
@click.option("--data", help="Samples and labels: any form of data.source. All of it is used, or its own test split.")
@click.option("--config", "config", type=FILE, help="A release.yaml: its task, data section, seed, measuring and gate apply.")
@click.option(
    "--preprocessing",
    multiple=True,
    metavar="KEY=VALUE|FILE",
    help="How samples are prepared, such as scale=0.00392 or mean=0.5,0.4,0.3, or a YAML file; see data.preprocessing.",
)
@click.option("--task", type=click.Choice(TASKS), help="Left out, the config's or the artifact's, or classification.")
@click.option(
    "--reference", type=FILE, help="The float file, of any format, or outputs kept in a .npz: parity and accuracy against it."
)
@click.option("--budget", multiple=True, metavar="KEY=VALUE|FILE", help="A limit such as latency_p95_ms=5, or a YAML file.")
@click.option("--device", default="local", show_default=True, help="Where it runs.")
@click.option("--device-option", multiple=True, metavar="KEY=VALUE", help="An option of the device, such as host=raspberrypi.")
@click.option(
    "--batch", "batches", multiple=True, type=click.IntRange(min=1), help="Take the throughput in batches of this size."
)
@click.option("--soak", metavar="TIME", help="Run without a pause for so long, such as 300s: does the device slow down?")
@click.option("--energy", metavar="rapl|FILE", help="Take the energy: by RAPL's counters, or from the CSV file of a meter.")
@click.option("--metric", help="top1, macro_f1, auc, mae or module:function; left out, the task's own.")
@click.option("--save-outputs", type=FILE, metavar="FILE", help="Keep the outputs of every sample in a .npz.")
def validate(
    file: Path,
    runtime: str,
    data: str | None,
    config: Path | None,
    preprocessing: tuple[str, ...],
    task: str | None,
    reference: Path | None,
    budget: tuple[str, ...],
    device: str,
    device_option: tuple[str, ...],
    batches: tuple[int, ...],
    soak: str | None,
    energy: str | None,
    metric: str | None,
    save_outputs: Path | None,
) -> None:
    """Validate an exported file against a budget.

    Nothing is trained: the file runs on the device, over the data.

    FILE is the folder of an artifact, its main file, or a file that anything else made: .onnx, .tflite, .pte, .xml, .mlpackage.
    Samples of floats are given to such a file as they are, unless --preprocessing or --config says how they are prepared.
    Ends with 0 when all is kept, 1 when a limit is broken or cannot be decided, 2 when it cannot be run.
    """
    from edgewright.config import GateConfig, Measuring
    from edgewright.config.load import load_config
    from edgewright.foreign import UNKNOWN, describe
    from edgewright.metrics import default_metric
    from edgewright.saved_outputs import save_outputs as save
    from edgewright.standalone import Question, find_artifact, judge_file

    release = load_config(config) if config else None
    name, options = runtime.rpartition(":")[2], _device_options(device_option)
    asked = {"batches": list(batches), "soak": soak, "energy": energy}
    target = _target({"name": name, "runtime": runtime, "device": device, "device_options": options, **asked}, budget)
    with tempfile.TemporaryDirectory(prefix="edgewright-validate-") as scratch:
        folder = Path(scratch)
        artifact = find_artifact(file)
        dataset = _dataset(file, runtime, data, release, artifact, preprocessing, task, folder / "data")
        if artifact is None:
            (folder / "file").mkdir()
            artifact = describe(file, runtime, dataset, folder / "file")
        question = Question(
            dataset=dataset,
            target=target,
            metric=metric or (release.metric_name if release else default_metric(dataset.card.task)),
            measuring=release.measuring if release else Measuring(),
            gate=release.gate if release else GateConfig(),
            seed=release.seed if release else 0,
        )
        against = _reference(reference, runtime, dataset, folder / "reference") if reference else None
        judgement = judge_file(artifact, against, question)
        if save_outputs is not None:
            save(save_outputs, judgement.outputs, dataset, artifact, runtime)
    if release is None and not preprocessing and artifact.facts.parent == UNKNOWN:
        click.echo(f"samples are given as they are ({dataset.card.sample_dtype}); --preprocessing says otherwise")
    _show(artifact, judgement, with_reference=reference is not None)
    if judgement.verdict.outcome != "pass":
        raise GateRefused(f"{file.name}: {judgement.verdict.outcome}\n  " + "\n  ".join(judgement.verdict.reasons))


def _dataset(
    file: Path,
    runtime: str,
    data: str | None,
    release: "ReleaseConfig | None",
    artifact: "Artifact | None",
    preprocessing: tuple[str, ...],
    task: str | None,
    out: Path,
) -> "Dataset":
    """Load the test samples: from the config, or from ``data`` as the config, the artifact or the command line has them."""
    from edgewright.config import DataSpec
    from edgewright.data.load import load_dataset, load_test
    from edgewright.foreign import classes_of, must_be_prepared

    if release is None and data is None:
        raise ConfigError("there is no data", to_do="give --data SOURCE, or --config release.yaml to take its test split")
    manifest = artifact.facts if artifact is not None else None
    spec = DataSpec()
    if release is not None:
        spec = release.data
    elif manifest is not None:
        spec = DataSpec(labels=manifest.labels or None, preprocessing=manifest.preprocessing)
    if preprocessing:
        spec = spec.model_copy(update={"preprocessing": _prepared(preprocessing, spec)})
    asked: Any = task or (release.task if release else manifest.task if manifest else TASKS[0])
    if data is None and release is not None:
        return load_dataset(spec, asked, release.seed, out)
    classes = classes_of(file, runtime) if manifest is None else None
    dataset = load_test(spec.model_copy(update={"source": data}), asked, out, classes)
    if release is None and manifest is None and not preprocessing:
        must_be_prepared(dataset.card.sample_dtype)
    return dataset


def _reference(reference: Path, runtime: str, dataset: "Dataset", out: Path) -> "Reference":
    """Open what the file is held against: an artifact, a bare file for its own runtime, or outputs."""
    from edgewright.foreign import describe
    from edgewright.formats import runtime_of_file
    from edgewright.saved_outputs import holds_outputs, read_outputs
    from edgewright.standalone import find_artifact

    found = find_artifact(reference)
    if found is not None:
        return found
    if holds_outputs(reference):
        return read_outputs(reference, dataset)
    out.mkdir()
    return describe(reference, runtime_of_file(reference, runtime), dataset, out)


def _target(fields: dict[str, Any], budget: tuple[str, ...]) -> "Target":
    """Return the target that the options describe.

    Raises:
        ConfigError: one of them is not what it should be.
    """
    from pydantic import ValidationError

    from edgewright.config import Target
    from edgewright.config.explain import explain

    try:
        return Target.model_validate(fields).model_copy(update={"budget": _budget(budget)})
    except ValidationError as error:
        raise ConfigError(explain(error, "edgewright validate", root=Target)) from None


def _budget(texts: tuple[str, ...]) -> "Budget":
    from edgewright.config import Budget

    budget: Budget = _checked(Budget, texts, "--budget", "latency_p95_ms: 5", {})
    return budget


def _prepared(texts: tuple[str, ...], spec: Any) -> Any:
    from edgewright.config.data import Preprocessing

    return _checked(
        Preprocessing, texts, "--preprocessing", "scale: 0.00392", spec.preprocessing.model_dump(exclude_unset=True)
    )


def _checked(kind: Any, texts: tuple[str, ...], option: str, example: str, base: dict[str, Any]) -> Any:
    """Return one section of the configuration from KEY=VALUE pairs and YAML files; a list's parts are separated by commas.

    Raises:
        ConfigError: a key or value that the section does not have.
    """
    from pydantic import ValidationError

    from edgewright.config.explain import explain
    from edgewright.config.yaml import read_yaml

    given = dict(base)
    for text in texts:
        key, equals, value = text.partition("=")
        if equals:
            several = kind.model_fields[key.strip()].annotation if key.strip() in kind.model_fields else None
            is_list = getattr(several, "__origin__", None) is tuple
            given[key.strip()] = [part.strip() for part in value.split(",")] if is_list else value.strip()
            continue
        read = read_yaml(Path(text)).data
        if not isinstance(read, dict):
            raise ConfigError(f"{option} takes a mapping of keys to values", where=text, to_do=f"such as: {example}")
        given |= read
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise ConfigError(explain(error, option, root=kind)) from None


def _device_options(texts: tuple[str, ...]) -> dict[str, str]:
    wrong = [text for text in texts if "=" not in text]
    if wrong:
        raise ConfigError(f"{wrong[0]!r} is not of the form KEY=VALUE", where="--device-option", to_do="such as: host=pi")
    return dict(text.split("=", 1) for text in texts)


def _show(artifact: "Artifact", judgement: "Judgement", *, with_reference: bool) -> None:
    from edgewright.report.text import interval, quantity

    facts, verdict = judgement.facts, judgement.verdict
    if len(artifact.facts.outputs) > 1:
        click.echo(f"of {len(artifact.facts.outputs)} outputs the first is judged: {artifact.facts.outputs[0].name}")
    for name, one in facts.measurements.items():
        click.echo(f"{name:20} {quantity(one.value, one.unit):>12}  {interval(one):24}  n={one.n}, {one.evidence}")
    for name, why in facts.unknown.items():
        click.echo(f"{name:20} {'unknown':>12}  {why}")
    for note in facts.notes:
        click.echo(note)
    if with_reference and facts.parity.agreement is not None:
        click.echo(f"{'agreement':20} {quantity(facts.parity.agreement, 'fraction'):>12}  {'':24}  n={facts.parity.n}")
    marks = {"pass": ("✓", "green"), "fail": ("✗", "red"), "inconclusive": ("?", "yellow")}
    for finding in verdict.findings:
        mark, colour = marks[finding.outcome]
        click.echo(f"{click.style(mark, fg=colour)} {finding.rule}: {finding.reason}")
    if {finding.rule for finding in verdict.findings} == {"sanity"}:
        click.echo("no --budget and no --reference: only whether the outputs are sound was judged")
