# SPDX-License-Identifier: Apache-2.0
"""`edgewright repository`: start a TUF repository of bundles, and keep it."""

from pathlib import Path

import click

from edgewright.cli.publish import KEY_FOLDERS

FOLDER = click.argument("folder", type=click.Path(path_type=Path))


@click.group()
def repository() -> None:
    """Start and keep a repository of bundles.

    Bundles get there by `edgewright publish`, and are fetched and checked by `edgewright verify URL`.
    """


@repository.command()
@FOLDER
@KEY_FOLDERS
@click.option("--root-keys", default=3, show_default=True, metavar="N", help="How many root keys there are.")
@click.option("--threshold", default=2, show_default=True, metavar="N", help="How many of them have to sign.")
def init(folder: Path, folders: tuple[Path, ...], root_keys: int, threshold: int) -> None:
    """Start a repository in FOLDER, with new keys for all its roles.

    Serve the folder as it is, from any static host. Root keys decide about all others: keep them offline, and apart.
    """
    from edgewright.plugins import create

    _say(create("services", "tuf").create(folder, folders, root_keys, threshold))


@repository.command()
@FOLDER
@KEY_FOLDERS
def refresh(folder: Path, folders: tuple[Path, ...]) -> None:
    """Sign anew what will expire.

    It says until when each role is good. The timestamp is good for 7 days: run this daily, with the keys of snapshot and
    timestamp. Of the others, those are signed anew that are past half of their life and whose keys are there.
    """
    from edgewright.plugins import create

    _say(create("services", "tuf").refresh(folder, folders))


@repository.command()
@FOLDER
@click.argument("role")
@KEY_FOLDERS
def rotate(folder: Path, role: str, folders: tuple[Path, ...]) -> None:
    """Give ROLE new keys, and take its old ones away.

    Do so when a key was lost or stolen, or once a year. ROLE is root, targets, snapshot, timestamp, or a target family.
    The root keys decide about the first four, the key of targets about families; the keys of snapshot and timestamp are
    needed each time.
    """
    from edgewright.plugins import create

    _say(create("services", "tuf").rotate(folder, role, folders))


def _say(lines: list[str]) -> None:
    for line in lines:
        click.echo(line)
