# SPDX-License-Identifier: Apache-2.0
"""Every YAML users may copy loads, and names only what is installed."""

import re
from pathlib import Path

import arm_root
import pytest

from edgewright.config.load import load_config
from edgewright.preflight import preflight

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "recipes").rglob("*.yaml"), *(ROOT / "examples").rglob("release.yaml")])


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_recipe_loads_and_names_what_is_installed(file: Path) -> None:
    if "qemu-aarch64" in file.read_text(encoding="utf-8"):
        arm_root.prepare()
    preflight(load_config(file))


def test_every_recipe_is_in_the_table() -> None:
    recipes = ROOT / "recipes"
    listed = re.findall(r"^\| `([\w./-]+\.yaml)`", (recipes / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(str(file.relative_to(recipes)) for file in recipes.rglob("*.yaml"))
