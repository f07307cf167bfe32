# SPDX-License-Identifier: Apache-2.0
"""docs/reference/cli.md, written from the commands themselves: `python -m edgewright.cli.reference > …`."""

import inspect
import sys

import click

from edgewright.cli import COMMANDS, main

_INTRODUCTION = """\
# Command line

Every command, written from the code by `python -m edgewright.cli.reference`.

| exit code | means |
|---|---|
| 0 | done; with `run` and `resume`: every target was promoted |
| 1 | the gate refused: everything ran, and at least one target was not promoted (`validate`: a limit is broken or undecided; \
`promote`, `rollback`, `drill`: refused; `history --verify`: something is wrong) |
| 2 | the input is wrong: configuration, data, model, a missing toolkit, a store that cannot be written |
| 10 | `drift`: devices' data have drifted |
| 11 | `drift`: they differ, by little: watch them |
| 70 | a bug in edgewright; the traceback is in the file that the message names |
| 130 | interrupted; what had finished is kept, `edgewright resume` goes on |

An error says what was wrong, where, and what to do, on standard error. Progress goes to standard error too, as bars on a
terminal and one line a stage elsewhere.
"""


def render() -> str:
    """Return the page as Markdown."""
    parent = click.Context(main, info_name="edgewright")
    return "\n".join([_INTRODUCTION, *(section for name in COMMANDS for section in _sections(name, main, parent))])


def _sections(name: str, group: click.Group, parent: click.Context) -> list[str]:
    """The section of a command, and those of its own commands where it has some."""
    command = group.get_command(parent, name)
    assert command is not None, name  # noqa: S101 - every name is a command's
    own = click.Context(command, parent=parent, info_name=name, terminal_width=120)
    below = command.commands if isinstance(command, click.Group) else {}
    return [_section(command, own), *(section for one in below for section in _sections(one, command, own))]  # type: ignore[arg-type]


def _section(command: click.Command, own: click.Context) -> str:
    lines = [f"## `{own.command_path}`", "", "    " + command.get_usage(own).removeprefix("Usage: "), ""]
    lines += [*_text(command), ""]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    if any(argument.default is not None and not argument.required for argument in arguments):
        lines += [f"`{argument.human_readable_name}` is `{argument.default}` when it is left out." for argument in arguments]
        lines.append("")
    if options:
        lines += ["| option | | |", "|---|---|---|", *(_row(option) for option in options), ""]
    return "\n".join(lines)


def _text(command: click.Command) -> list[str]:
    """The help text, one line a paragraph."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs).replace("<", "\\<").splitlines()


def _row(option: click.Option) -> str:
    kind = "required" if option.required else f"default `{option.default}`" if option.show_default else ""
    many = "may be given several times" if option.multiple else ""
    value = f" {option.metavar}" if option.metavar else " VALUE"
    cells = [f"`{option.opts[0]}{value}`", "; ".join(word for word in (kind, many) if word), option.help or ""]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(render())
