# SPDX-License-Identifier: Apache-2.0
"""Keys are made once and named; an envelope opens for a trusted key alone, and whatever it is told in, in plain words."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from edgewright.errors import ConfigError, StoreError
from edgewright.trust.envelope import LARGEST, opened, sign
from edgewright.trust.keys import make_key, own_key, own_public_key, public_key, signer_of

KIND = "text/plain"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "theirs"):
        make_key(folder / f"{name}.pem")
    return folder


def _signed(keys: Path, name: str = "ours") -> bytes:
    return sign(b"hello", KIND, signer_of(f"file:{keys}/{name}.pem"))


def _trusted(keys: Path, *names: str) -> list[Any]:
    return [public_key(keys / f"{name}.pub") for name in names]


def test_a_private_key_is_for_its_owner_alone_and_is_never_replaced(keys: Path) -> None:
    assert stat.S_IMODE((keys / "ours.pem").stat().st_mode) == 0o600
    before = (keys / "ours.pem").read_bytes()
    with pytest.raises(StoreError, match="there is a key already"):
        make_key(keys / "ours.pem")
    assert (keys / "ours.pem").read_bytes() == before


def test_a_pair_whose_public_half_is_taken_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.pub").write_text("somebody's")
    with pytest.raises(StoreError, match="there is a key already"):
        make_key(tmp_path / "a.pem")
    assert [file.name for file in tmp_path.iterdir()] == ["a.pub"]
    assert (tmp_path / "a.pub").read_text() == "somebody's"


def test_the_user_s_own_key_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    name = own_key()
    assert name == f"file:{tmp_path}/edgewright/release.pem"
    first = signer_of(name).public_key
    assert signer_of(own_key()).public_key == first == public_key(tmp_path / "edgewright" / "release.pub")


def test_the_user_s_own_key_may_be_made_by_another_release_at_the_same_moment(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert own_public_key() is None

    def overtaken(private: Path) -> None:
        private.parent.mkdir()
        private.write_bytes((keys / "theirs.pem").read_bytes())
        make_key(private)

    monkeypatch.setattr("edgewright.trust.keys.make_key", overtaken)
    assert signer_of(own_key()).public_key == _trusted(keys, "theirs")[0] == own_public_key()


def test_a_key_from_the_environment_signs_like_the_file_it_is_from(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELEASE_KEY", (keys / "ours.pem").read_text())
    assert sign(b"hello", KIND, signer_of("env:RELEASE_KEY")) == _signed(keys)


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("env:NOT_SET", ConfigError, "variable NOT_SET is not set"),
        ("env:BROKEN", StoreError, "no private key in PEM"),
        ("file:/nowhere/key.pem", StoreError, "cannot read a private key"),
        ("release.pem", ConfigError, "names no key"),
        ("fil:release.pem", ConfigError, "did you mean 'file'"),
        ("hsm:2", ConfigError, "needs its public key"),
    ],
)
def test_a_key_that_cannot_be_had_is_told_without_a_word_of_it(
    name: str, error: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKEN", "-----BEGIN PRIVATE KEY-----\nsecret-inside\n-----END PRIVATE KEY-----")
    with pytest.raises(error, match=said) as told:
        signer_of(name)
    assert "secret-inside" not in str(told.value)
    assert told.value.__cause__ is None or "secret-inside" not in str(told.value.__cause__)


def test_a_public_key_that_is_none_is_told(keys: Path) -> None:
    with pytest.raises(StoreError, match="no public key in PEM"):
        public_key(keys / "ours.pem")
    with pytest.raises(StoreError, match="cannot read a public key"):
        public_key(keys / "nobody.pub")


def test_an_envelope_gives_its_payload_and_who_signed_it(keys: Path) -> None:
    payload, key = opened(_signed(keys), KIND, _trusted(keys, "theirs", "ours"), "here")
    assert payload == b"hello"
    assert key.keyid == _trusted(keys, "ours")[0].keyid
    assert _signed(keys) == _signed(keys), "ed25519 signs the same way each time"


def _with(envelope: bytes, **changes: Any) -> bytes:
    return json.dumps({**json.loads(envelope), **changes}).encode()


def test_what_no_trusted_key_signed_is_refused(keys: Path) -> None:
    ours, theirs = _signed(keys), _signed(keys, "theirs")
    for envelope, trusted in [
        (ours, _trusted(keys, "theirs")),
        (ours, []),
        (_with(ours, payload="aGVsbG8h"), _trusted(keys, "ours")),
        (_with(ours, signatures=[]), _trusted(keys, "ours")),
        (_with(ours, signatures=json.loads(theirs)["signatures"]), _trusted(keys, "ours")),
        (  # their signature under our key's id
            _with(ours, signatures=[{**json.loads(ours)["signatures"][0], "sig": json.loads(theirs)["signatures"][0]["sig"]}]),
            _trusted(keys, "ours"),
        ),
    ]:
        with pytest.raises(StoreError, match="no trusted key signed this"):
            opened(envelope, KIND, trusted, "here")


def test_a_signature_on_one_kind_of_thing_is_none_on_another(keys: Path) -> None:
    with pytest.raises(StoreError, match="wraps 'text/plain' where 'text/html' belongs"):
        opened(_signed(keys), "text/html", _trusted(keys, "ours"), "here")
    with pytest.raises(StoreError, match="no trusted key signed this"):
        opened(_with(_signed(keys), payloadType="text/html"), "text/html", _trusted(keys, "ours"), "here")


def test_an_envelope_of_unreasonable_size_is_not_parsed(keys: Path) -> None:
    with pytest.raises(StoreError, match="is refused: more than"):
        opened(b" " * (LARGEST + 1), KIND, _trusted(keys, "ours"), "here")


def test_deep_nesting_is_no_envelope(keys: Path) -> None:
    with pytest.raises(StoreError, match="no DSSE envelope"):
        opened(b"[" * 1_000_000, KIND, _trusted(keys, "ours"), "here")
