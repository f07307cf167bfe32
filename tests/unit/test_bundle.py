# SPDX-License-Identifier: Apache-2.0
"""Bundles keep their identity: across copies, and across versions of edgewright that know more facts."""

import json
from pathlib import Path

import pytest

from edgewright.bundle import PAGE, Bundle
from edgewright.errors import StoreError
from edgewright.measure import Frozen


class Facts(Frozen):
    name: str


class LaterFacts(Facts):
    added: int = 3


class Thing(Bundle[Facts]):
    Facts = Facts


class LaterThing(Bundle[LaterFacts]):
    Facts = LaterFacts


def sealed(folder: Path) -> Thing:
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"abc")
    return Thing.seal(folder, Facts(name="one"))


def test_a_later_version_that_knows_more_facts_sees_the_same_digest(tmp_path: Path) -> None:
    thing = sealed(tmp_path / "thing")
    later = LaterThing.open(thing.path)
    assert later.facts.added == 3
    assert later.digest == thing.digest
    assert later.copy_to(tmp_path / "copy").digest == thing.digest
    assert LaterThing.open(tmp_path / "copy").digest == thing.digest


def test_a_changed_page_has_another_digest(tmp_path: Path) -> None:
    thing = sealed(tmp_path / "thing")
    page = json.loads((thing.path / PAGE).read_text())
    page["facts"]["name"] = "two"
    (thing.path / PAGE).write_text(json.dumps(page))
    assert Thing.open(thing.path).digest != thing.digest


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    thing = sealed(tmp_path / "thing")
    (thing.path / "weights.bin").write_bytes(b"abd")
    with pytest.raises(StoreError, match="was changed"):
        Thing.open(thing.path)
