# SPDX-License-Identifier: Apache-2.0
"""OpenSSF's model signature of an artifact's folder: a file beside it, which `model_signing verify key` checks.

Written here by securesystemslib's DSSE and the release's own signer, be it a token's: model-signing's library and litert-torch
exclude each other (docs/adr/0020-model-signatures.md). The format is https://github.com/ossf/model-signing-spec as
model-signing 1.1.1 reads it: a Sigstore bundle with one envelope around an in-toto statement, and the hint at a public key.
"""

import base64
import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from edgewright.artifact import Artifact
from edgewright.bundle import PAGE
from edgewright.errors import ConfigError
from edgewright.report.atomic import write_bytes

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signer

SUFFIX = ".model.sig"
#: ECDSA on P-256, P-384 and P-521, by securesystemslib's names: the keys that OpenSSF's library takes
_SCHEMES = ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD, _STATEMENT = "application/vnd.in-toto+json", "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"


def require_fitting(key: "Key") -> None:
    """Make sure that a key can sign models.

    Raises:
        ConfigError: it is of another kind than OpenSSF's library takes.
    """
    if key.scheme not in _SCHEMES:
        raise ConfigError(
            f"OpenSSF model signatures are ECDSA's, and the key that signs is {key.scheme}",
            where="signing.key",
            to_do="name an ECDSA key (P-256, P-384 or P-521), or leave signing.model_signing out",
        )


def sign_model(artifact: Artifact, name: str, signer: "Signer", out: Path) -> None:
    """Sign an artifact's folder, unless ``out`` is its signature by this key already: ECDSA's differ each time.

    Args:
        artifact: what is signed: every file of its folder.
        name: of the model; for information, and not checked by anybody.
        signer: an ECDSA key.
        out: file to write.

    Raises:
        ConfigError: the key is of another kind.
        StoreError: the key does not sign, or the file cannot be written.
    """
    require_fitting(signer.public_key)
    payload = _statement(artifact, name)
    if not _holds(out, payload, signer.public_key):
        write_bytes(out, _bundle(payload, signer))


def _statement(artifact: Artifact, name: str) -> bytes:
    """Every file with its sha256, sorted as the library does, and one digest over those digests."""
    digests = {**artifact.files, PAGE: artifact.digest}
    resources = [{"name": file, "algorithm": "sha256", "digest": digests[file]} for file in sorted(digests, key=PurePosixPath)]
    root = hashlib.sha256(b"".join(bytes.fromhex(one["digest"]) for one in resources)).hexdigest()
    page = {
        "_type": _STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": root}}],
        "predicateType": _PREDICATE,
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
            "resources": resources,
        },
    }
    return json.dumps(page, indent=1, sort_keys=True).encode()


def _bundle(payload: bytes, signer: "Signer") -> bytes:
    from securesystemslib.dsse import Envelope

    signature = signer.sign(Envelope(payload, _PAYLOAD, {}).pae())
    page = {
        "mediaType": _BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": _hint(signer.public_key)}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _PAYLOAD,
            "signatures": [{"sig": base64.b64encode(bytes.fromhex(signature.signature)).decode(), "keyid": ""}],
        },
    }
    return json.dumps(page, indent=1, sort_keys=True).encode()


def _hint(key: "Key") -> str:
    """The sha256 of the public key's PEM file, by which the library sees that another key was given."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    pem = load_pem_public_key(key.keyval["public"].encode()).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def _holds(file: Path, payload: bytes, key: "Key") -> bool:
    """Whether a file is the key's signature of a payload."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import UnverifiedSignatureError
    from securesystemslib.signer import Signature

    try:
        page: dict[str, Any] = json.loads(file.read_bytes())
        envelope = page["dsseEnvelope"]
        signature = base64.b64decode(envelope["signatures"][0]["sig"]).hex()
        key.verify_signature(Signature(key.keyid, signature), Envelope(payload, _PAYLOAD, {}).pae())
        return bool(base64.b64decode(envelope["payload"]) == payload)
    except (OSError, ValueError, KeyError, IndexError, TypeError, UnverifiedSignatureError):
        return False
