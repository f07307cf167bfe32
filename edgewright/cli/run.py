# SPDX-License-Identifier: Apache-2.0
"""`edgewright run` and `edgewright resume`: the pipeline, without ZenML's command line."""

from pathlib import Path

import click

CONFIG = click.argument("config", type=click.Path(path_type=Path), default=Path("release.yaml"))


@click.command()
@CONFIG
def run(config: Path) -> None:
    """Release to every target of the configuration.

    What a run before this one has finished is not done again.
    """
    _release(config, resume=False)


@click.command()
@CONFIG
def resume(config: Path) -> None:
    """Go on with a release that was interrupted."""
    _release(config, resume=True)


def _release(config: Path, *, resume: bool) -> None:
    from edgewright.cli import INTERRUPTED, _pipeline

    try:
        _pipeline.run(config, resume)
    except KeyboardInterrupt:
        click.echo(f"interrupted; what had finished is kept. To go on: edgewright resume {config}", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
