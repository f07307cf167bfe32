# SPDX-License-Identifier: Apache-2.0
"""`edgewright device`: what a device needs on this machine before files run on it."""

import click


@click.command()
@click.argument("action", type=click.Choice(["prepare"]))
@click.argument("name")
@click.option(
    "--runtime",
    multiple=True,
    metavar="NAME",
    help="A runtime to prepare it for, beside the usual ones that are installed here; asked for once, it stays.",
)
def device(action: str, name: str, runtime: tuple[str, ...]) -> None:  # noqa: ARG001 - there is one action
    """Prepare a device: fetch what files need to run on it.

    `qemu-aarch64` gets Python from Debian and wheels from PyPI, some 250 MB in ~/.cache/edgewright (or XDG_CACHE_HOME).
    What is there already is not fetched again.
    """
    from edgewright.plugins import create

    click.echo(create("devices", name).prepare(runtime))
