# SPDX-License-Identifier: Apache-2.0
"""Keys that sign and keys that are trusted. Private keys never leave this module but as a signer.

A private key is named by where it is: `file:keys/release.pem`, `env:RELEASE_KEY` (the PEM text itself), or a URI of
securesystemslib for a token or a key service (`edgewright.trust.services`), whose public key is then given too.
Public keys are PEM files; a key's id is the sha256 of what TUF's canonical JSON makes of it (by securesystemslib).
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.errors import ConfigError, StoreError, nearest

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signer

    from edgewright.config.release import Signing

_OWN = ("file", "env")
#: what a key signs to show that it can; no envelope begins like this
_TRIAL = b"edgewright: can this key sign?"
#: bytes of a key that are read: those of RSA have some thousand
_LARGEST = 100_000


def make_key(private: Path) -> Path:
    """Write a new ed25519 pair: ``private`` (PEM, readable by its owner alone), and its public key beside it as .pub.

    Returns:
        The public key's file.

    Raises:
        StoreError: one of the files is there already, or cannot be written.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    public, key = private.with_suffix(".pub"), Ed25519PrivateKey.generate()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    told = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        private.parent.mkdir(parents=True, exist_ok=True)
        if public.exists():
            raise FileExistsError
        _write_new(private, secret, 0o600)
        _write_new(public, told, 0o644)
    except FileExistsError:
        raise StoreError(
            "there is a key already", where=str(private), to_do="name another file; a key is never replaced"
        ) from None
    except OSError as error:
        raise StoreError(f"cannot write a key: {error.strerror}", where=str(private)) from error
    return public


def own_key() -> str:
    """Name of the key that signs where none is configured: made on first use, in the user's configuration folder."""
    private = config_home() / "release.pem"
    if not private.exists():
        try:
            make_key(private)
        except StoreError:
            if not private.exists():  # else another release made it at the same moment
                raise
    return f"file:{private}"


def own_public_key() -> "Key | None":
    """Public half of the user's own key; None where there is none yet."""
    private = config_home() / "release.pem"
    return signer_of(f"file:{private}").public_key if private.exists() else None


def config_home() -> Path:
    """Folder that keeps the user's own key, and the repositories that are trusted."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "edgewright"


def signer_of(name: str, public: Path | None = None) -> "Signer":
    """Open a private key by its name; ``public`` is its public key's file, which a token or key service needs.

    Raises:
        ConfigError: the name is of no known kind, the variable is not set, or the public key is left out.
        StoreError: the key cannot be read, or the service does not give it.
        ToolkitMissing: the library of the token or service is not installed.
    """
    from edgewright.trust.services import EXTRAS, ServiceSigner

    kind, _, rest = name.partition(":")
    if kind in _OWN:
        return _signer(kind, rest)
    if kind not in EXTRAS:
        raise ConfigError(
            f"{name[:16]!r} names no key; {nearest(kind, (*_OWN, *EXTRAS))}",
            to_do="such as file:keys/release.pem, env:RELEASE_KEY or hsm:2?label=release",
        )
    if public is None:
        raise ConfigError(f"a key of {kind} needs its public key", to_do="name its PEM file: signing.public_key")
    return ServiceSigner(name, public_key(public))


def signer_for(signing: "Signing") -> "Signer":
    """Open the private key that a configuration names; the user's own where it names none.

    Raises:
        ConfigError: as `signer_of`.
        StoreError: as `signer_of`.
    """
    return signer_of(signing.key or own_key(), Path(signing.public_key) if signing.public_key else None)


def try_out(signer: "Signer") -> None:
    """Sign something, so that a token that is not there or a wrong PIN shows before a release's work is done.

    Raises:
        ConfigError: the PIN is not given.
        StoreError: the key does not sign.
    """
    signer.sign(_TRIAL)


def public_key(file: Path) -> "Key":
    """Read a trusted public key (PEM).

    Raises:
        StoreError: it is not there, or no public key.
    """
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey

    try:
        return SSlibKey.from_crypto(load_pem_public_key(_page(file)))
    except OSError as error:
        raise StoreError(f"cannot read a public key: {error.strerror}", where=str(file)) from error
    except Exception as error:  # the parser's own errors have no common base
        raise StoreError("this is no public key in PEM", where=str(file), to_do="name the .pub file of the key") from error


def told_key(key_id: str, told: Mapping[str, Any], where: str) -> "Key":
    """Read a public key as an entry of a history tells it; its id must be its own, not that of somebody else's key.

    Raises:
        StoreError: it is no public key, or has another id.
    """
    from securesystemslib.formats import encode_canonical
    from securesystemslib.signer import SSlibKey

    parts = {name: told.get(name) for name in ("keytype", "scheme", "keyval")}
    try:
        if hashlib.sha256(str(encode_canonical(parts)).encode()).hexdigest() == key_id:
            return SSlibKey.from_dict(key_id, dict(told))
    except Exception as error:  # hostile input: securesystemslib raises whatever its parts raise
        raise StoreError("it brings no public key", where=where) from error
    raise StoreError("it brings a key whose id is not the one it names", where=where)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is not there yet, whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # readable by its owner alone
    staged = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        staged.chmod(mode)
        path.hardlink_to(staged)
    finally:
        staged.unlink()


def _page(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(_LARGEST)


def _signer(kind: str, rest: str) -> "Signer":
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    try:
        pem = _page(Path(rest).expanduser()) if kind == "file" else os.environ[rest].encode(errors="replace")
    except KeyError:
        raise ConfigError(f"variable {rest} is not set, and the key was to be in it", where=f"key env:{rest}") from None
    except (OSError, ValueError, RuntimeError) as error:  # a name that no file can have, the home of nobody
        raise StoreError(
            f"cannot read a private key: {getattr(error, 'strerror', None) or error}",
            where=rest,
            to_do="edgewright key FILE makes one",
        ) from error
    try:
        return CryptoSigner(load_pem_private_key(pem, None))
    except Exception:  # never its text: it may hold parts of the key
        raise StoreError(
            "this is no private key in PEM that can sign here, or it has a password",
            where=f"key {kind}:{rest}",
            to_do="edgewright key FILE makes one",
        ) from None
