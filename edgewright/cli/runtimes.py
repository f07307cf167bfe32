# SPDX-License-Identifier: Apache-2.0
"""`edgewright runtimes`: what can be released to, on what, from which framework, and what is missing."""

from collections.abc import Callable
from typing import Any

import click


@click.command()
def runtimes() -> None:
    """List runtimes, devices and frameworks.

    Says what each can do, and the pip line of those that are not installed.
    """
    from rich.console import Console

    from edgewright.plugins import Kind

    console = Console()
    shown: list[tuple[Kind, tuple[str, ...], Callable[[type[Any]], tuple[str, ...]]]] = [
        ("runtimes", ("format", "passes", "latency is", "takes models of"), _runtime),
        ("devices", ("numbers are",), _device),
        ("frameworks", ("shipped architectures",), _framework),
    ]
    for kind, columns, describe in shown:
        console.print(_table(kind, columns, describe))


def _table(kind: Any, columns: tuple[str, ...], describe: Callable[[type[Any]], tuple[str, ...]]) -> Any:
    from rich.table import Table

    from edgewright.plugins import find, missing, names

    table = Table("name", *columns, "installed", title=kind, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in names(kind):
        try:
            plugin = find(kind, name)
            lacking = missing(plugin)
            table.add_row(name, *describe(plugin), f"no: {plugin.install}" if lacking else "yes")
        except Exception as error:  # one broken integration must not hide the others
            table.add_row(name, *[""] * len(columns), f"broken: {type(error).__name__}: {error}")
    return table


def _runtime(plugin: type[Any]) -> tuple[str, ...]:
    from edgewright.ladder import able

    return plugin.format, able(plugin()), plugin.latency_evidence or "unknown", ", ".join(plugin.frameworks)


def _device(plugin: type[Any]) -> tuple[str, ...]:
    return (plugin.evidence,)


def _framework(plugin: type[Any]) -> tuple[str, ...]:
    return (", ".join(plugin.architectures),)
