# SPDX-License-Identifier: Apache-2.0
"""Bundles are signed by a key in a PKCS#11 token; what is wrong with token, PIN or key is told at once, and the PIN never."""

import importlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from signed_bundles import FINISHED, RUN, Signed, sign_release
from software_token import PIN, Token, make_token

from edgewright.cli import main
from edgewright.config.load import load_config
from edgewright.errors import ConfigError, EdgewrightError, StoreError, ToolkitMissing
from edgewright.preflight import preflight
from edgewright.trust.keys import make_key, signer_for, signer_of, try_out
from edgewright.trust.release import sign_target

TARGETS = [{"name": "phone", "runtime": "null", "device": "null"}]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Token:
    return make_token(tmp_path_factory.mktemp("token"))


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return sign_release(tmp_path_factory.mktemp("signed"))


@pytest.fixture
def token(made: Token, monkeypatch: pytest.MonkeyPatch) -> Token:
    for name, value in made.variables.items():
        monkeypatch.setenv(name, value)
    return made


def _config(folder: Path, **signing: Any) -> Any:
    file = folder / "release.yaml"
    file.write_text(yaml.safe_dump({"targets": TARGETS, "signing": {k: str(v) for k, v in signing.items()}}))
    return load_config(file)


def test_a_release_signed_by_a_token_is_verified_offline(token: Token, signed: Signed, tmp_path: Path) -> None:
    signer = signer_for(_config(tmp_path, key=token.key, public_key=token.public).signing)
    bundle = tmp_path / "phone.bundle"
    sign_target(signed.facts, signed.facts.targets[0], signed.artifact, RUN, FINISHED, signer, bundle)
    told = CliRunner().invoke(main, ["verify", str(bundle), "--key", str(token.public)])
    assert told.exit_code == 0, told.output
    assert f"by key {signer.public_key.keyid[:12]}, which is trusted" in told.output
    assert PIN.encode() not in bundle.read_bytes()
    stranger = CliRunner().invoke(main, ["verify", str(bundle), "--key", str(signed.key.with_suffix(".pub"))])
    assert (stranger.exit_code, "no trusted key signed this" in stranger.output) == (2, True)


def test_a_token_signs_where_tensorflow_is_loaded(token: Token) -> None:
    """Within one process SoftHSM's OpenSSL and TensorFlow's crash it, as a release of a Keras model would."""
    importlib.import_module("tensorflow")
    try_out(signer_of(token.key, token.public))


def test_a_token_s_library_that_crashes_is_told_and_takes_nothing_down(
    token: Token, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crash.c").write_text("#include <stdlib.h>\nint C_GetFunctionList(void *list) { abort(); }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", "crash.so", "crash.c"], cwd=tmp_path, check=True)
    monkeypatch.setenv("PYKCS11LIB", str(tmp_path / "crash.so"))
    with pytest.raises(StoreError) as told:
        preflight(_config(tmp_path, key=token.key, public_key=token.public))
    _one_screen(told.value, "the process crashed (SIGABRT)")


def _other_public(folder: Path) -> Path:
    """Another key of the same kind."""
    from securesystemslib.signer import CryptoSigner

    (folder / "other.pub").write_text(CryptoSigner.generate_ecdsa().public_key.keyval["public"])
    return folder / "other.pub"


@pytest.mark.parametrize(
    ("variables", "key", "error", "said"),
    [
        ({"EDGEWRIGHT_HSM_PIN": "99999999"}, "", StoreError, "the token refused the PIN"),
        ({"EDGEWRIGHT_HSM_PIN": None}, "", ConfigError, "variable EDGEWRIGHT_HSM_PIN, which is not set"),
        ({"PYKCS11LIB": None}, "", StoreError, "PYKCS11LIB environment variable must be set"),
        ({"PYKCS11LIB": "/nowhere/token.so"}, "", StoreError, "/nowhere/token.so: cannot open shared object file"),
        ({}, "hsm:2?label=another", StoreError, "No PKCS#11 token found for label another"),
        ({}, "hsm:7?label=edgewright", StoreError, "could not find ECDSA private key"),
        ({}, f"hsm:2?label=edgewright&pin={PIN}", ConfigError, "the PIN goes into the variable EDGEWRIGHT_HSM_PIN"),
        ({}, "hsm:release", ConfigError, "such as hsm:2?label=release"),
    ],
)
def test_before_a_release_begins_it_is_told_that_the_token_does_not_sign(
    token: Token,
    variables: dict[str, str | None],
    key: str,
    error: type[EdgewrightError],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    with pytest.raises(error) as told:
        preflight(_config(tmp_path, key=key or token.key, public_key=token.public))
    _one_screen(told.value, said)


def test_a_public_key_of_another_key_is_refused_before_anything_is_signed_with_it(token: Token, tmp_path: Path) -> None:
    with pytest.raises(StoreError) as told:
        preflight(_config(tmp_path, key=token.key, public_key=_other_public(tmp_path)))
    _one_screen(told.value, "the public key is not of the key that signed")
    with pytest.raises(StoreError) as told:
        preflight(_config(tmp_path, key=token.key, public_key=make_key(tmp_path / "ed25519.pem")))
    _one_screen(told.value, "ECDSA P-256 or P-384")


def _one_screen(error: EdgewrightError, said: str) -> None:
    message = error.format_message()
    assert said in message
    assert len(message) < 600
    assert len(message.splitlines()) <= 3
    cause: BaseException | None = error
    while cause is not None:
        assert PIN not in str(cause)
        assert "99999999" not in str(cause)
        cause = cause.__cause__


@pytest.mark.parametrize(
    ("key", "extra"),
    [
        ("awskms:alias/release", "awskms"),
        ("gcpkms:projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1", "gcpkms"),
        ("azurekms://vault.vault.azure.net/keys/release/1", "azurekms"),
        ("hv:release/1", "vault"),
    ],
)
def test_a_key_service_whose_library_is_missing_is_told_with_the_pip_line(key: str, extra: str, tmp_path: Path) -> None:
    with pytest.raises(ToolkitMissing, match="needs a library that is not installed") as told:
        signer_of(key, make_key(tmp_path / "release.pem"))
    assert f"pip install 'securesystemslib[{extra}]>=1.6,<2'" in told.value.format_message()
