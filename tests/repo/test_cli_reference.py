# SPDX-License-Identifier: Apache-2.0
"""docs/reference/cli.md is what the commands say of themselves."""

from pathlib import Path

from edgewright.cli import COMMANDS
from edgewright.cli.reference import render

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "python -m edgewright.cli.reference > docs/reference/cli.md"


def test_every_command_is_on_it() -> None:
    assert [command for command in COMMANDS if f"## `edgewright {command}`" not in render()] == []
