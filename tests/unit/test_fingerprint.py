# SPDX-License-Identifier: Apache-2.0
"""Digests of code see every helper a module reaches, and nothing else."""

from pathlib import Path

import pytest

from edgewright.fingerprint import of_code


@pytest.fixture
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own files: nets_of_user imports blocks_of_user beside it, inside a function."""
    (tmp_path / "nets_of_user.py").write_text("def net():\n    from blocks_of_user import block\n    return block\n")
    (tmp_path / "blocks_of_user.py").write_text("block = 1\n")
    (tmp_path / "unrelated_of_user.py").write_text("other = 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_change_in_a_module_beside_is_seen(user_folder: Path) -> None:
    before = of_code("nets_of_user")
    (user_folder / "blocks_of_user.py").write_text("block = 2\n")
    assert of_code("nets_of_user") != before


def test_a_change_in_an_unrelated_module_is_not(user_folder: Path) -> None:
    before = of_code("nets_of_user")
    (user_folder / "unrelated_of_user.py").write_text("other = 2\n")
    assert of_code("nets_of_user") == before


def test_what_is_derived_from_edgewright_changes_with_it(user_folder: Path) -> None:
    (user_folder / "plain_of_user.py").write_text("x = 1\n")
    (user_folder / "derived_of_user.py").write_text("from edgewright.runtime import Runtime\nx = 1\n")
    assert of_code("derived_of_user") != of_code("plain_of_user")


def test_a_step_s_digest_does_not_depend_on_where_it_is_taken(user_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = of_code("edgewright.steps.load_data")
    monkeypatch.chdir("/")
    assert of_code("edgewright.steps.load_data") == before
