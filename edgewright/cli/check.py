# SPDX-License-Identifier: Apache-2.0
"""`edgewright check`: everything that can be known without training, said in seconds."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgewright.config import ReleaseConfig
    from edgewright.data.dataset import Dataset


@click.command()
@click.argument("config", type=click.Path(path_type=Path), default=Path("release.yaml"))
def check(config: Path) -> None:
    """Say whether a release can run, without training.

    Checks the configuration, that all it names is installed, the data and its rules, that model and passes fit the data,
    and that every target's runtime takes the model.
    """
    from edgewright.config.load import load_config
    from edgewright.data.load import load_dataset
    from edgewright.preflight import preflight
    from edgewright.progress import stage

    release = load_config(config)
    _fine(f"{config.name}: {_counted(len(release.targets), 'target')}, metric {release.metric_name}")
    with stage("Looking for the toolkits"):
        preflight(release)
    runtimes = sorted({target.runtime for target in release.targets})
    _fine(f"toolkits: {release.model.framework}, {', '.join(runtimes)}")
    with tempfile.TemporaryDirectory(prefix="edgewright-check-") as folder:
        with stage("Loading the data"):
            dataset = load_dataset(release.data, release.task, release.seed, Path(folder) / "data")
        counts = ", ".join(f"{count} {split}" for split, count in dataset.card.counts.items())
        _fine(f"data: {counts}; samples of {dataset.card.sample_shape}, {dataset.card.sample_dtype}")
        _check_rules(release, dataset)
        _check_model(release, dataset)
        _check_exports(release, dataset, Path(folder))
    click.echo(f"next: edgewright run {config}")


def _check_rules(release: "ReleaseConfig", dataset: "Dataset") -> None:
    from edgewright.data.checks import require
    from edgewright.plugins import create
    from edgewright.progress import stage

    with stage("Checking the data"):
        results = create("services", "great_expectations").check(dataset, release.data.checks)
    require(results)
    _fine(f"data rules: all {len(results)} kept")


def _check_model(release: "ReleaseConfig", dataset: "Dataset") -> None:
    from edgewright.preflight import check_recipes
    from edgewright.progress import stage

    with stage("Building the model, and what its passes need"):
        sample = check_recipes(release, dataset)
    _fine(f"model: {release.model.title} takes {sample} and answers the labels")


def _check_exports(release: "ReleaseConfig", dataset: "Dataset", folder: Path) -> None:
    from edgewright.preflight import check_exports
    from edgewright.progress import stage

    model = "the file" if release.model.file else "the untrained model"
    with stage(f"Exporting {model}"):
        runtimes = check_exports(release, dataset, folder)
    _fine(f"export: {', '.join(runtimes)} took {model}")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _fine(text: str) -> None:
    click.echo(click.style("✓ ", fg="green") + text)
