# SPDX-License-Identifier: Apache-2.0
"""From a key to a verified download on the command line: what is printed, and the exit code."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from signed_bundles import Signed, sign_release

from edgewright.cli import main


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return sign_release(tmp_path_factory.mktemp("signed"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has no key and knows no repository."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def edgewright(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_key_is_made_and_its_id_told(home: Path) -> None:
    made = edgewright("key", home / "keys" / "release.pem")
    assert made.exit_code == 0, made.output
    assert f"public   {home}/keys/release.pub" in made.output
    assert "PRIVATE" not in made.output
    again = edgewright("key", home / "keys" / "release.pem")
    assert (again.exit_code, "there is a key already" in again.output) == (2, True)


def test_verify_prints_each_check_and_unpacks_what_holds(home: Path, signed: Signed) -> None:
    told = edgewright("verify", signed.path, "--key", signed.key.with_suffix(".pub"), "--extract", home / "a")
    assert told.exit_code == 0, told.output
    assert [line.split("  ")[0] for line in told.output.splitlines()[:9]] == [
        "✓ layout", "✓ signature", "✓ contents", "✓ artifact", "✓ verdict", "✓ of this artifact", "✓ provenance",
        "✓ calibration", "✓ bill of materials",
    ]  # fmt: skip
    assert f"sha256 of the bundle {signed.digest}" in told.output
    assert (home / "a" / "model.onnx").read_bytes() == b"int8"


def test_a_reader_who_has_seen_enough_is_no_bug(home: Path, signed: Signed) -> None:
    arguments = [
        sys.executable,
        "-m",
        "edgewright.cli",
        "verify",
        str(signed.path),
        "--key",
        str(signed.key.with_suffix(".pub")),
    ]
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(arguments, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_verify_ends_with_2_and_says_what_was_checked_before_it_refused(home: Path, signed: Signed) -> None:
    stranger = edgewright("key", home / "stranger.pem")
    assert stranger.exit_code == 0
    refused = edgewright("verify", signed.path, "--key", home / "stranger.pub", "--extract", home / "a")
    assert refused.exit_code == 2
    assert "✓ layout" in refused.output
    assert "✓ signature" not in refused.output
    assert "no trusted key signed this" in refused.output
    assert not (home / "a").exists()


def test_without_a_key_verify_trusts_the_user_s_own_alone(home: Path, signed: Signed) -> None:
    nobody = edgewright("verify", signed.path)
    assert (nobody.exit_code, "no key is trusted" in nobody.output) == (2, True)
    own = home / "config" / "edgewright"
    own.mkdir(parents=True)
    (own / "release.pem").write_bytes(signed.key.read_bytes())
    assert edgewright("verify", signed.path).exit_code == 0


def test_a_repository_is_started_published_to_kept_and_verified_from(home: Path, signed: Signed) -> None:
    repository, keys, public = home / "repository", home / "keys", signed.key.with_suffix(".pub")
    started = edgewright("repository", "init", repository, "--keys", keys)
    assert started.exit_code == 0, started.output
    assert f"{repository}/metadata/1.root.json: give it to whoever verifies" in started.output
    offered = edgewright("publish", signed.path, "--to", repository, "--keys", keys, "--key", public, "--family", "phones")
    assert offered.output == f"offered   phones/digits-phone.bundle (sha256 {signed.digest[:12]})\n"
    url, root = f"{repository.as_uri()}/targets/phones/digits-phone.bundle", repository / "metadata" / "1.root.json"
    first = edgewright("verify", url, "--key", public, "--root", root)
    assert first.exit_code == 0, first.output
    assert first.output.startswith("✓ repository")
    assert "timestamp      version 3" in edgewright("repository", "refresh", repository, "--keys", keys).output
    assert "may sign no more" in edgewright("repository", "rotate", repository, "phones", "--keys", keys).output
    assert edgewright("verify", url, "--key", public).exit_code == 0


def test_publish_takes_nothing_that_does_not_hold(home: Path, signed: Signed) -> None:
    assert edgewright("repository", "init", home / "repository", "--keys", home / "keys").exit_code == 0
    changed = signed.with_files(home / "changed.bundle", {"verdict.json": b"{}"})
    public = signed.key.with_suffix(".pub")
    refused = edgewright("publish", changed, "--to", home / "repository", "--keys", home / "keys", "--key", public)
    assert refused.exit_code == 2
    assert "verdict.json was changed since it was signed" in refused.output
    assert not (home / "repository" / "targets").exists()
