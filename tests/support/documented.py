# SPDX-License-Identifier: Apache-2.0
"""A page of the documentation, block by block: files are written, commands run, and what it shows is what comes out."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from release_project import Project

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial"


def blocks_of(page: str) -> list[tuple[str, str]]:
    """Language and content of every code block, in the order of the page."""
    text = (TUTORIAL / page).read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


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
    """Lines without the digests, numbers and units that differ between machines, and without the width of columns."""
    lines = re.sub(r"\b[0-9a-f]{12,64}\b", "#", text).splitlines()
    plain = (re.sub(r"[±+−-]?\d[\d,.]*", "#", line) for line in lines)
    return {" ".join(re.sub(r"\b[µm]s\b", "s", line).split()) for line in plain}


def follow(page: str, folder: Path) -> list[tuple[str, str]]:
    """Do all that a page says, in a folder; return each command line with what it printed, which is what the page shows."""
    told, output = [], ""
    blocks = blocks_of(page)
    for (language, block), (following, expected) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language in ("python", "yaml"):
            _write(folder, block)
        if language == "console":
            code, output = _run(folder, block.strip())
            refused = following == "text" and "Error:" in expected
            assert (code != 0) == refused, f"{block.strip()} ended with {code}: {output}"
            told.append((block.strip(), output))
        if language == "text":
            assert _shape(block) - _shape(output) == set(), output
    return told
