# SPDX-License-Identifier: Apache-2.0
"""The command line. Commands are imported when they are used, so that `edgewright --help` answers at once.

Exit codes are listed in docs/reference/exit-codes.md.
"""

import errno
import importlib
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import click

from edgewright import __version__
from edgewright.errors import FULL, MAKE_ROOM, StoreError, nearest

#: command to the module of edgewright.cli it stands in, in the order a user meets them
COMMANDS = {
    "init": "init",
    "check": "check",
    "run": "run",
    "resume": "run",
    "report": "report",
    "runtimes": "runtimes",
    "validate": "validate",
    "promote": "promotion",
    "rollback": "promotion",
    "history": "promotion",
    "diff": "promotion",
    "drill": "promotion",
    "device": "device",
    "key": "key",
    "verify": "verify",
    "publish": "publish",
    "repository": "repository",
    "drift": "drift",
    "retrain": "retrain",
}
BUG, INTERRUPTED = 70, 130


class Commands(click.Group):
    """Finds commands by name, and turns whatever escapes them into one screen and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"edgewright.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is asked for; a misspelt one is told the nearest."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"there is no command {args[0]!r}; {nearest(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read the output has seen enough; click ends quietly
                raise
            if error.errno not in (*FULL, errno.EACCES, errno.EROFS):
                raise _bug(error) from error
            where = str(error.filename or f"output folder, ZenML's store or {tempfile.gettempdir()}")
            to_do = MAKE_ROOM if error.errno in FULL else "give access there, then run again"
            raise StoreError(f"{error.strerror}", where=where, to_do=to_do) from error
        except Exception as error:
            if "database or disk is full" in str(error):  # SQLite's words, in whatever the database's client wraps them
                raise StoreError("the disk is full", where="ZenML's store (zenml status)", to_do=MAKE_ROOM) from error
            raise _bug(error) from error


def _bug(error: Exception) -> click.exceptions.Exit:
    """Say on one screen that this is our mistake, and keep the whole traceback in a file."""
    with tempfile.NamedTemporaryFile("w", prefix="edgewright-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write(f"edgewright {__version__}, Python {sys.version}\narguments: {sys.argv[1:]}\n\n")
        file.write("".join(traceback.format_exception(error)))
    said = str(error).splitlines()[0][:300] if str(error) else ""
    click.echo(f"This is a bug in edgewright: {type(error).__name__}: {said}", err=True)
    click.echo(f"  where: {Path(file.name)} holds the traceback", err=True)
    click.echo("  to do: report it with that file, please; what had finished is kept", err=True)
    return click.exceptions.Exit(BUG)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgewright")
def main() -> None:
    """From a model, data and a list of edge targets to validated, gated and promoted edge artifacts.

    Begin with `edgewright init`, then `edgewright check`, then `edgewright run`.
    """
