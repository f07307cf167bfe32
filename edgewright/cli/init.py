# SPDX-License-Identifier: Apache-2.0
"""`edgewright init`: a commented release.yaml to start from."""

from importlib.resources import files
from pathlib import Path

import click

from edgewright.errors import ConfigError, StoreError


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path("release.yaml"))
def init(path: Path) -> None:
    """Write a commented release.yaml to start from."""
    text = files("edgewright.config").joinpath("starter.yaml").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise ConfigError(
            f"{path.name} is there already, and is left as it is",
            where=str(path.absolute()),
            to_do="name another file: edgewright init other.yaml",
        ) from None
    except OSError as error:
        raise StoreError(f"cannot write {path.name}: {error.strerror}", where=str(path.absolute())) from error
    click.echo(f"wrote {path}; next: edgewright check {path}")
