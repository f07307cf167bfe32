# SPDX-License-Identifier: Apache-2.0
"""The tutorial, block by block, as a reader types it: files are written, commands run, and what it shows is what comes out."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from release_project import Project

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "own-model.md"


def _blocks() -> list[tuple[str, str]]:
    """Language and content of every code block, in the order of the page."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def _write(folder: Path, block: str) -> None:
    """A file is named by its first line: '# name', or '# add to name'."""
    heading, _, rest = block.partition("\n")
    name = heading.removeprefix("# ").removeprefix("add to ")
    with (folder / name).open("a" if "add to" in heading else "w", encoding="utf-8") as file:
        file.write(rest if "add to" in heading else block)


def _run(folder: Path, line: str) -> tuple[int | None, str]:
    program, *arguments = shlex.split(line.removeprefix("$ "))
    if program == "edgewright":
        ended = Project(folder, {}).edgewright(*arguments, environment={"COLUMNS": "120"})
        return ended.code, ended.output
    command = [sys.executable if program == "python" else program, *arguments]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def _shape(text: str) -> set[str]:
    """Lines without the numbers and units that differ between machines, and without the width of columns."""
    plain = (re.sub(r"[±+−-]?\d[\d,.]*", "#", line) for line in text.splitlines())
    return {" ".join(re.sub(r"\b[µm]s\b", "s", line).split()) for line in plain}


def test_every_block_does_what_the_page_says(tmp_path: Path) -> None:
    output, releases = "", []
    blocks = _blocks()
    for (language, block), (following, expected) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language in ("python", "yaml"):
            _write(tmp_path, block)
        if language == "console":
            code, output = _run(tmp_path, block.strip())
            assert code == (1 if following == "text" and "Error:" in expected else 0), output
            releases += [output] if block.strip() == "$ edgewright run" else []
        if language == "text":
            assert _shape(block) - _shape(output) == set(), output
    first, again, more = releases
    assert "Training" in first
    assert "Training" not in again + more
    assert "Timing" not in again
