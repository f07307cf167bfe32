# SPDX-License-Identifier: Apache-2.0
"""A PKCS#11 token in software (Debian's softhsm2) that holds a key."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

PIN, LIBRARY = "13572468", "/usr/lib/softhsm/libsofthsm2.so"
_TOKEN = ("--token", "edgewright", "--pin", PIN)


@dataclass(frozen=True)
class Token:
    """A token labelled 'edgewright' with the key of id 2, and the key's public half as a PEM file."""

    folder: Path
    public: Path
    key: str = "hsm:2?label=edgewright"

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs to sign with it; it reads SOFTHSM2_CONF once."""
        return {"SOFTHSM2_CONF": f"{self.folder}/softhsm2.conf", "PYKCS11LIB": LIBRARY, "EDGEWRIGHT_HSM_PIN": PIN}


def make_token(folder: Path) -> Token:
    """Make a token in a folder, and put a key into it that is kept nowhere else."""
    (folder / "tokens").mkdir(parents=True)
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\n")
    key, pem = ec.generate_private_key(ec.SECP256R1()), folder / "key.pem"
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = folder / "release.pub"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    token = Token(folder, public)
    _softhsm(token, "--init-token", "--free", "--label", "edgewright", "--so-pin", "87654321", "--pin", PIN)
    _softhsm(token, "--import", str(pem), *_TOKEN, "--label", "release", "--id", "02")
    pem.unlink()
    return token


def _softhsm(token: Token, *arguments: str) -> None:
    subprocess.run(["softhsm2-util", *arguments], check=True, capture_output=True, env={**os.environ, **token.variables})
