# SPDX-License-Identifier: Apache-2.0
"""docs/reference/cli.md is what the commands say of themselves, and exit-codes.md what they end with."""

import re
from pathlib import Path

from edgewright.cli import BUG, COMMANDS, INTERRUPTED
from edgewright.cli.reference import render
from edgewright.errors import EdgewrightError

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "python -m edgewright.cli.reference > docs/reference/cli.md"


def test_every_command_is_on_it() -> None:
    assert [command for command in COMMANDS if f"## `edgewright {command}`" not in render()] == []


def test_the_page_of_exit_codes_has_all_there_are() -> None:
    page = (PAGE.parent / "exit-codes.md").read_text(encoding="utf-8")
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    raised = {kind.exit_code for kind in (EdgewrightError, *_below(EdgewrightError))}
    assert listed == {0, BUG, INTERRUPTED, *raised}


def _below(kind: type[EdgewrightError]) -> list[type[EdgewrightError]]:
    return [found for child in kind.__subclasses__() for found in (child, *_below(child))]
