# SPDX-License-Identifier: Apache-2.0
"""What can be released to what, told by the integrations' own classes: tables of `edgewright runtimes`.

`python -m edgewright.cli.matrix > docs/reference/matrix.md` writes them as a page.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgewright.config.recipe import PASSES
from edgewright.plugins import Kind, find, missing, names

_FILE_PASSES = tuple(kind for kind, config in PASSES.items() if config.acts_on == "file")
_MODEL_PASSES = tuple(kind for kind, config in PASSES.items() if config.acts_on == "model")
_TRAINED = "qat_w8a8"  # a pass on models, but each runtime says whether it takes what comes of it
_INTRODUCTION = """\
# What can be released to what

Written from the code by `python -m edgewright.cli.matrix`; `edgewright runtimes` shows the same, and what is installed.
[Runtimes](runtimes.md) says what stands behind each word.
"""


@dataclass(frozen=True)
class Table:
    """Rows of one kind of integration, a name first."""

    title: str
    kind: Kind
    columns: tuple[str, ...]
    cells: Callable[[type[Any]], tuple[str, ...]]

    def rows(self) -> list[tuple[str, ...]]:
        """One row an integration; one that is broken says so and hides no other."""
        return [self._row(name) for name in names(self.kind)]

    def _row(self, name: str) -> tuple[str, ...]:
        try:
            return name, *self.cells(find(self.kind, name))
        except Exception as error:  # whatever somebody's integration raises
            return name, f"broken: {type(error).__name__}: {error}", *[""] * (len(self.columns) - 1)


def tables() -> list[Table]:
    """All tables, as they are shown."""
    told = ("file", "takes models of", "outputs", "latency", "memory", "over ssh", "installed")
    return [
        Table("runtimes", "runtimes", told, _runtime),
        Table("passes on files", "runtimes", ("float", *_FILE_PASSES, _TRAINED), _file_passes),
        Table("devices", "devices", ("numbers are", "installed"), lambda plugin: (plugin.evidence, _installed(plugin))),
        Table("frameworks", "frameworks", ("shipped architectures", "installed"), _framework),
        Table("passes on models", "frameworks", _MODEL_PASSES, _model_passes),
    ]


def render() -> str:
    """Return the page as Markdown."""
    return "\n".join([_INTRODUCTION, *(_section(table) for table in tables())])


def _section(table: Table) -> str:
    # what is installed differs from machine to machine; the line that installs it does not
    header = ("name", *("install" if name == "installed" else name for name in table.columns))
    lines = []
    for name, *cells in table.rows():
        lines.append([f"`{name}`", *([*cells[:-1], _install(table.kind, name)] if header[-1] == "install" else cells)])
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join([f"## {table.title.capitalize()}", "", *(f"| {' | '.join(row)} |" for row in rows), ""])


def _runtime(plugin: type[Any]) -> tuple[str, ...]:
    evidence = (plugin.output_evidence, plugin.latency_evidence, plugin.memory_evidence)
    writer = find("runtimes", plugin.exports_with) if plugin.exports_with else plugin
    said = [one or "unknown" for one in evidence]
    if plugin.hardware:
        elsewhere = ("emulated", "unknown", "unknown")
        said = [f"{one} on {plugin.hardware}, else {other}" for one, other in zip(said, elsewhere, strict=True)]
    return plugin.suffix, ", ".join(writer.frameworks), *said, _yes(plugin.onboard is not None), _installed(plugin)


def _file_passes(plugin: type[Any]) -> tuple[str, ...]:
    runtime = plugin()
    return (
        _yes(plugin.runs_float),
        *(_yes(runtime.supports(kind)) for kind in _FILE_PASSES),
        _yes(plugin.takes_quantized),
    )


def _framework(plugin: type[Any]) -> tuple[str, ...]:
    return ", ".join(plugin.architectures) or "none: takes a finished file", _installed(plugin)


def _model_passes(plugin: type[Any]) -> tuple[str, ...]:
    framework = plugin()
    return tuple(_yes(framework.supports(kind)) for kind in _MODEL_PASSES)


def _yes(can: bool) -> str:
    return "yes" if can else "–"


def _installed(plugin: type[Any]) -> str:
    return f"no: {plugin.install}" if missing(plugin) else "yes"


def _install(kind: Kind, name: str) -> str:
    line = find(kind, name).install
    return f"`{line}`" if line else "nothing"


if __name__ == "__main__":
    sys.stdout.write(render())
