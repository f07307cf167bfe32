# SPDX-License-Identifier: Apache-2.0
"""Progress for everything that takes longer than two seconds: a bar on a terminal, one plain line a stage elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_open: list[Progress] = []


class Advance(Protocol):
    """Moves the bar on; ``note`` is shown beside it."""

    def __call__(self, steps: int = 1, note: str = "") -> None:
        """Move on by so many steps."""


@contextmanager
def stage(label: str, total: int | None = None) -> Iterator[Advance]:
    """Show that ``label`` is under way; with a total, as a bar. When it is over, one line stays with the time it took."""
    started = time.monotonic()
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _nothing_to_show
        print(f"{label} · {time.monotonic() - started:.1f} s", file=sys.stderr)  # noqa: T201
        return
    nested = bool(_open)
    progress = _open[-1] if nested else _bars(console)
    if not nested:
        progress.start()
        _open.append(progress)
    task = progress.add_task(label, total=total, note="")
    try:
        yield lambda steps=1, note="": progress.update(task, advance=steps, note=note)
        progress.console.print(f"[green]✓[/] {label} [dim]· {time.monotonic() - started:.1f} s[/]")
    finally:
        progress.remove_task(task)
        if not nested:
            progress.stop()
            _open.remove(progress)


def _bars(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[note]}"),
        console=console,
        transient=True,
    )


def _nothing_to_show(steps: int = 1, note: str = "") -> None:
    """Stand in for a bar where there is no terminal."""
    del steps, note
