# SPDX-License-Identifier: Apache-2.0
"""`edgewright publish`: offer bundles in a repository that devices trust."""

from pathlib import Path

import click

from edgewright.cli.verify import KEYS, OVERRIDDEN, trusted_keys

KEY_FOLDERS = click.option(
    "--keys",
    "folders",
    multiple=True,
    required=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Where the repository's private keys are; new ones go into the first.",
)


@click.command()
@click.argument("bundles", metavar="BUNDLE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--to", "folder", required=True, metavar="FOLDER", type=click.Path(path_type=Path), help="Folder of the repository."
)
@KEY_FOLDERS
@click.option("--family", metavar="NAME", help="Target family, with keys of its own; left out, the runtime's name.")
@KEYS
@OVERRIDDEN
def publish(
    bundles: tuple[Path, ...],
    folder: Path,
    folders: tuple[Path, ...],
    family: str | None,
    keys: tuple[Path, ...],
    overridden: bool,
) -> None:
    """Offer signed bundles in a repository.

    The repository is TUF's: files that any static host or object store can serve. Bundles are checked first, as `edgewright
    verify` does. One is offered as targets/<family>/<model>.bundle, in the place of the one before it.
    """
    from edgewright.plugins import create
    from edgewright.trust.verify import checked

    trusted = trusted_keys(keys)
    found = [checked(bundle, trusted, overridden=overridden) for bundle in bundles]
    for line in create("services", "tuf").publish(found, folder, folders, family):
        click.echo(line)
