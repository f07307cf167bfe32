# SPDX-License-Identifier: Apache-2.0
"""Ladders shown in the documentation are valid, and every recipe name in them decodes."""

import re
from pathlib import Path

import pytest
import yaml

from edgewright.config import ReleaseConfig
from edgewright.config.recipe import PASSES, Rung

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "ladder.md"
TARGETS = [{"name": "a", "runtime": "onnxruntime"}]


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
def test_a_ladder_of_the_page_is_valid(block: str) -> None:
    ReleaseConfig.model_validate({"targets": TARGETS, **yaml.safe_load(block)})


def test_every_name_in_the_table_decodes() -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    for row in rows:
        first, *others = re.findall(r"`([^`]+)`", row)
        whole = [first] + [first.split(".")[0] + other if other.startswith(".") else other for other in others]
        for name in whole:
            assert Rung.of(name).passes


def test_the_table_shows_every_pass() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [kind for kind in PASSES if f"`{kind}" not in text] == []
