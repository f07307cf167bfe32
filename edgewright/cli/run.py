# SPDX-License-Identifier: Apache-2.0
"""`edgewright run` and `edgewright resume`: the pipeline, without ZenML's command line."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgewright.errors import ConfigError

if TYPE_CHECKING:
    from edgewright.config import ReleaseConfig

CONFIG = click.argument("config", type=click.Path(path_type=Path), default=Path("release.yaml"))

#: ZenML and the toolkits say much by default, and some report home; what the user has set stays as it is.
QUIET = {
    "ZENML_ANALYTICS_OPT_IN": "false",
    "ZENML_ENABLE_RICH_TRACEBACK": "false",
    "ZENML_LOGGING_COLORS_DISABLED": "true",
    "ZENML_LOGGING_VERBOSITY": "CRITICAL",  # an error is said once, by whoever ends the run
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "OMP_WAIT_POLICY": "PASSIVE",  # torch's idle threads spin by default, which makes training crawl on a busy machine
}


@click.command()
@CONFIG
def run(config: Path) -> None:
    """Release to every target of the configuration.

    What a run before this one has finished is not done again.
    """
    from edgewright.config.load import load_config

    _release(load_config(config), config)


@click.command()
@CONFIG
def resume(config: Path) -> None:
    """Go on with a release that was interrupted.

    It has the configuration it had then; what had finished is not done again.
    """
    from edgewright.config import ReleaseConfig
    from edgewright.config.load import load_config

    unfinished = load_config(config).output_folder / "unfinished.json"
    if not unfinished.is_file():
        raise ConfigError(
            "there is nothing to resume: no release was interrupted here",
            where=str(unfinished.parent),
            to_do=f"edgewright run {config} (what is unchanged since the last run is not done again)",
        )
    _release(ReleaseConfig.model_validate_json(unfinished.read_text(encoding="utf-8")), config)


def _release(release: "ReleaseConfig", file: Path) -> None:
    with started(f"edgewright resume {file}"):
        from edgewright.pipelines.edge_release import edge_release

        edge_release(release)


@contextmanager
def started(again: str) -> Iterator[None]:
    """Have ZenML and its store ready, and say after Ctrl-C what to do ``again``."""
    from edgewright.progress import stage

    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    try:
        with stage("Starting ZenML"):
            from edgewright.pipelines.store import open_store

            open_store()
        yield
    except KeyboardInterrupt:
        click.echo(f"interrupted; what had finished is kept. To go on: {again}", err=True)
        raise click.exceptions.Exit(130) from None
