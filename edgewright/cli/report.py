# SPDX-License-Identifier: Apache-2.0
"""`edgewright report`: the table of a finished release."""

from pathlib import Path

import click


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
def report(path: Path) -> None:
    """Show the table of a finished release.

    PATH is the folder it wrote (<output>/<name>), or the release.json in it.
    """
    from rich.console import Console

    from edgewright.report.release_json import read
    from edgewright.report.table import render_table

    record = path / "release.json" if path.is_dir() else path
    render_table(read(record), Console())
    page = record.with_name("report.html")
    click.echo(f"report   {page.absolute()}" if page.is_file() else "report   there is no report.html beside this file")
