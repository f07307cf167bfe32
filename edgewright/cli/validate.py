# SPDX-License-Identifier: Apache-2.0
"""`edgewright validate`: hold an exported file, whoever made it, to a budget on a device."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgewright.errors import ConfigError, GateRefused

if TYPE_CHECKING:
    from edgewright.artifact import Artifact
    from edgewright.config import Budget, DataSpec, ReleaseConfig, Task
    from edgewright.gate.verdict import Verdict
    from edgewright.validation import ValidationFacts

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("file", type=FILE)
@click.option("--runtime", required=True, help="What executes the file; see: edgewright runtimes.")
@click.option("--data", help="Samples and labels: any form of data.source. All of it is used, or its own test split.")
@click.option("--config", "config", type=FILE, help="A release.yaml: its task, data section, seed, measuring and gate apply.")
@click.option("--reference", type=FILE, help="The float file, run by the same runtime: parity and accuracy against it.")
@click.option("--budget", multiple=True, metavar="KEY=VALUE|FILE", help="A limit such as latency_p95_ms=5, or a YAML file.")
@click.option("--device", default="local", show_default=True, help="Where it runs.")
@click.option("--device-option", multiple=True, metavar="KEY=VALUE", help="An option of the device, such as host=raspberrypi.")
@click.option("--metric", help="top1, macro_f1, auc, mae or module:function; left out, the task's own.")
def validate(
    file: Path,
    runtime: str,
    data: str | None,
    config: Path | None,
    reference: Path | None,
    budget: tuple[str, ...],
    device: str,
    device_option: tuple[str, ...],
    metric: str | None,
) -> None:
    """Validate an exported file against a budget.

    Nothing is trained: the file runs on the device, over the data.

    FILE is the folder of an artifact, its main file, or a bare .onnx or .tflite with --config to say how samples are prepared.
    Ends with 0 when all is kept, 1 when a limit is broken or cannot be decided, 2 when it cannot be run.
    """
    from edgewright.config import GateConfig, Measuring, Target
    from edgewright.config.load import load_config
    from edgewright.data.load import load_dataset
    from edgewright.metrics import default_metric
    from edgewright.standalone import Question, describe, find_artifact, judge_file

    release = load_config(config) if config else None
    artifact = find_artifact(file)
    spec, task = _data(data, release, artifact)
    name, options = runtime.rpartition(":")[2], _device_options(device_option)
    target = Target(name=name, runtime=runtime, device=device, device_options=options, budget=_budget(budget))
    with tempfile.TemporaryDirectory(prefix="edgewright-validate-") as scratch:
        folder = Path(scratch)
        dataset = load_dataset(spec, task, release.seed if release else 0, folder / "data")
        given = [artifact, find_artifact(reference) if reference else None]
        for index, path in enumerate((file, reference)):
            if path is not None and given[index] is None:
                (folder / str(index)).mkdir()
                given[index] = describe(path, runtime, dataset, folder / str(index))
        question = Question(
            dataset=dataset,
            target=target,
            metric=metric or (release.metric_name if release else default_metric(task)),
            measuring=release.measuring if release else Measuring(),
            gate=release.gate if release else GateConfig(),
            seed=release.seed if release else 0,
        )
        assert given[0] is not None  # noqa: S101 - described above
        facts, verdict = judge_file(given[0], given[1], question)
    _show(facts, verdict, with_reference=reference is not None)
    if verdict.findings and verdict.outcome != "pass":
        raise GateRefused(f"{file.name}: {verdict.outcome}\n  " + "\n  ".join(verdict.reasons))


def _data(data: str | None, release: "ReleaseConfig | None", artifact: "Artifact | None") -> "tuple[DataSpec, Task]":
    """Where samples come from and how they are prepared: from the config, or else from the artifact's manifest."""
    from edgewright.config import DataSpec
    from edgewright.standalone import all_of_it

    if release is None and data is None:
        raise ConfigError("there is no data", to_do="give --data SOURCE, or --config release.yaml to take its test split")
    if release is not None:
        spec = release.data if data is None else all_of_it(release.data.model_copy(update={"source": data}))
        return spec, release.task
    if artifact is None:
        raise ConfigError(
            "nothing says how samples are prepared for this file",
            to_do="give --config release.yaml (its data.preprocessing counts), or keep the artifact's bundle.json beside it",
        )
    manifest = artifact.facts
    spec = DataSpec(source=data or "", labels=manifest.labels or None, preprocessing=manifest.preprocessing)
    return all_of_it(spec), manifest.task


def _budget(texts: tuple[str, ...]) -> "Budget":
    from pydantic import ValidationError

    from edgewright.config import Budget
    from edgewright.config.explain import explain
    from edgewright.config.yaml import read_yaml

    limits: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if equals:
            limits[key.strip()] = value.strip()
            continue
        read = read_yaml(Path(text)).data
        if not isinstance(read, dict):
            raise ConfigError("a budget is a mapping of limits to numbers", where=text, to_do="such as: latency_p95_ms: 5")
        limits |= read
    try:
        return Budget.model_validate(limits)
    except ValidationError as error:
        raise ConfigError(explain(error, "--budget", root=Budget)) from None


def _device_options(texts: tuple[str, ...]) -> dict[str, str]:
    wrong = [text for text in texts if "=" not in text]
    if wrong:
        raise ConfigError(f"{wrong[0]!r} is not of the form KEY=VALUE", where="--device-option", to_do="such as: host=pi")
    return dict(text.split("=", 1) for text in texts)


def _show(facts: "ValidationFacts", verdict: "Verdict", *, with_reference: bool) -> None:
    from edgewright.report.text import interval, quantity

    for name, one in facts.measurements.items():
        click.echo(f"{name:20} {quantity(one.value, one.unit):>12}  {interval(one):24}  n={one.n}, {one.evidence}")
    if with_reference and facts.parity.agreement is not None:
        click.echo(f"{'agreement':20} {quantity(facts.parity.agreement, 'fraction'):>12}  {'':24}  n={facts.parity.n}")
    marks = {"pass": ("✓", "green"), "fail": ("✗", "red"), "inconclusive": ("?", "yellow")}
    for finding in verdict.findings:
        mark, colour = marks[finding.outcome]
        click.echo(f"{click.style(mark, fg=colour)} {finding.rule}: {finding.reason}")
    if not verdict.findings:
        click.echo("nothing was judged: no --budget and no --reference")
