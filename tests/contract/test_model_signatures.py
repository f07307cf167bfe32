# SPDX-License-Identifier: Apache-2.0
"""OpenSSF's own command accepts the model signatures that releases leave, and refuses what was changed."""

from pathlib import Path
from typing import Any

import pytest
from openssf import verify_model
from signed_bundles import Signed, sign_release

from edgewright.config import ReleaseConfig, Signing
from edgewright.errors import ConfigError
from edgewright.preflight import preflight
from edgewright.trust.keys import make_key, signer_of
from edgewright.trust.model_signature import sign_model


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return sign_release(tmp_path_factory.mktemp("signed"))


def _ecdsa(folder: Path, curve: str) -> tuple[str, Path]:
    """Make a pair of keys; return the private one's name and the public one's file."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = ec.generate_private_key(getattr(ec, curve)())
    private, public = folder / f"{curve}.pem", folder / f"{curve}.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return f"file:{private}", public


@pytest.mark.parametrize("curve", ["SECP256R1", "SECP521R1"])
def test_openssf_s_command_accepts_the_folder_of_an_artifact(signed: Signed, curve: str, tmp_path: Path) -> None:
    key, public = _ecdsa(tmp_path, curve)
    sign_model(signed.artifact, "digits-phone", signer_of(key), tmp_path / "phone.model.sig")
    told = verify_model(signed.artifact.path, tmp_path / "phone.model.sig", public)
    assert (told.returncode, "Verification succeeded" in told.stdout) == (0, True), told.stdout + told.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "model.onnx").write_bytes(b"int9"), "Hash mismatch for 'model.onnx'"),
        (lambda folder: (folder / "more.bin").write_bytes(b""), "Extra files found in model"),
        (lambda folder: (folder / "bundle.json").unlink(), "Missing files in model"),
    ],
)
def test_openssf_s_command_refuses_a_folder_that_was_changed(signed: Signed, change: Any, said: str, tmp_path: Path) -> None:
    key, public = _ecdsa(tmp_path, "SECP256R1")
    sign_model(signed.artifact, "digits-phone", signer_of(key), tmp_path / "phone.model.sig")
    signed.artifact.copy_to(tmp_path / "phone")
    change(tmp_path / "phone")
    told = verify_model(tmp_path / "phone", tmp_path / "phone.model.sig", public)
    assert (told.returncode, said in told.stdout + told.stderr) == (1, True), told.stdout + told.stderr


def test_a_signature_that_holds_is_kept_and_one_that_does_not_is_written_anew(signed: Signed, tmp_path: Path) -> None:
    out, ours = tmp_path / "phone.model.sig", signer_of(_ecdsa(tmp_path, "SECP256R1")[0])
    sign_model(signed.artifact, "digits-phone", ours, out)
    first = out.read_bytes()
    sign_model(signed.artifact, "digits-phone", ours, out)
    assert out.read_bytes() == first
    for broken in (b"", b"{}", first.replace(b'"sig": "M', b'"sig": "N')):
        out.write_bytes(broken)
        sign_model(signed.artifact, "digits-phone", ours, out)
        assert out.read_bytes() not in (first, broken), "ECDSA's signatures are random"
    other = signer_of(_ecdsa(tmp_path, "SECP384R1")[0])
    before = out.read_bytes()
    sign_model(signed.artifact, "digits-phone", other, out)
    assert out.read_bytes() != before


def test_an_ed25519_key_signs_no_models_and_says_so_before_anything_is_trained(tmp_path: Path) -> None:
    make_key(tmp_path / "release.pem")
    signing = Signing(key=f"file:{tmp_path}/release.pem", model_signing=True)
    config = ReleaseConfig.model_validate({"targets": [{"name": "phone", "runtime": "null", "device": "null"}]})
    with pytest.raises(ConfigError, match="are ECDSA's, and the key that signs is ed25519"):
        preflight(config.model_copy(update={"signing": signing}))
    with pytest.raises(ValueError, match="your own is ed25519"):
        Signing(model_signing=True)
