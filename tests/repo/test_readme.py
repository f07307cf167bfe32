# SPDX-License-Identifier: Apache-2.0
"""README and docs say what is there: the tree, the links, the make targets."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "stacks", "examples", "recipes")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
IGNORED = {"build", "dist", "__pycache__"}


def _tree() -> dict[str, str]:
    """Path to description of every line of README's map of folders."""
    block = re.search(r"<!-- tree -->\n```\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block, "README has no tree between <!-- tree --> and the end of its code block"
    lines = [line.split(maxsplit=1) for line in block[1].splitlines() if line.strip()]
    return {line[0]: line[1] for line in lines}


def test_every_folder_at_the_top_is_in_the_tree() -> None:
    folders = {f"{path.name}/" for path in ROOT.iterdir() if path.is_dir() and path.name not in IGNORED}
    folders = {folder for folder in folders if folder[0] != "."}
    folders = {folder for folder in folders if not folder.endswith(".egg-info/")}
    assert folders == {path for path in _tree() if path.endswith("/") and path.count("/") == 1}


def test_everything_in_the_tree_is_there() -> None:
    assert [path for path in _tree() if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_point_to_something(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_named_in_text_exist(page: Path) -> None:
    top = "docs|tests|steps|pipelines|integrations|edgewright|examples|recipes|benchmarks|stacks"
    named = re.findall(rf"`((?:{top})/[\w./-]+)`", page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_make_commands_named_in_pages_are_targets() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for command in re.findall(r"^ {4}make ([a-z -]+?)(?: +#.*)?$", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert set(command.split()) <= targets, f"{page.name}: make {command}"
