# SPDX-License-Identifier: Apache-2.0
"""`edgewright runtimes`: what can be released to, on what, from which framework, and what is missing."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table as Shown

    from edgewright.cli.matrix import Table


@click.command()
def runtimes() -> None:
    """List runtimes, devices and frameworks, and what each can do.

    Says whose numbers are measured, emulated or estimated, and the pip line of what is not installed.
    """
    from rich.console import Console

    from edgewright.cli.matrix import tables

    console = Console()
    for table in tables():
        console.print(_shown(table))


def _shown(table: "Table") -> "Shown":
    from rich.table import Table as Shown

    shown = Shown(title=f"\n{table.title}", title_justify="left", title_style="bold", box=None, pad_edge=False)
    shown.add_column("name", no_wrap=True)
    for column in table.columns:
        shown.add_column(column, overflow="fold")
    for row in table.rows():
        shown.add_row(*row)
    return shown
