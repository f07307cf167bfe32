# SPDX-License-Identifier: Apache-2.0
"""Private keys that never leave a token (PKCS#11) or a key service: securesystemslib talks to them, this says what went wrong.

A token tells at its first signature whether library, PIN and key are right, so `edgewright check` and every release sign once
before anything is trained. Each signature is held against the public key, which was got on another way.

A token's library signs in a process of its own: in one that holds TensorFlow, whose OpenSSL is another, SoftHSM's crashes.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from securesystemslib.exceptions import UnsupportedLibraryError, UnverifiedSignatureError
from securesystemslib.signer import Key, SecretsHandler, Signature, Signer

from edgewright import isolate
from edgewright.errors import ConfigError, EdgewrightError, ExportError, StoreError, ToolkitMissing

#: variables that a token needs: its PKCS#11 library (by securesystemslib's name), and its PIN
LIBRARY, PIN = "PYKCS11LIB", "EDGEWRIGHT_HSM_PIN"
#: kinds of keys, each with the extra of securesystemslib that brings its client
EXTRAS = {"hsm": "hsm", "awskms": "awskms", "azurekms": "azurekms", "gcpkms": "gcpkms", "hv": "vault"}
_TOKEN = re.compile(r"hsm:[0-9]*(\?label=[^&#]+)?")
_OF_PIN = {
    "PinIncorrect": "the token refused the PIN",
    "PinInvalid": "the token refused the PIN",
    "PinLenRange": "the token refused the PIN: its length",
    "PinExpired": "the token's PIN has expired",
    "PinLocked": "the token has locked itself after wrong PINs",
}


class ServiceSigner(Signer):
    """Signs by a token or key service."""

    def __init__(self, name: str, public: Key) -> None:
        """Name the key; a token is asked for it when it signs.

        Raises:
            ConfigError: the name is no token's.
            ToolkitMissing: the client's library is not installed.
            StoreError: the service does not give the key, or the public key is of a kind that it cannot use.
        """
        self._kind = name.partition(":")[0]
        if self._kind == "hsm" and not _TOKEN.fullmatch(name):
            raise ConfigError(  # what stands behind may be a PIN
                "a token's key is named by its id, and the token by its label",
                where=re.split(r"[?;&#]", name)[0][:40],
                to_do=f"such as hsm:2?label=release; the PIN goes into the variable {PIN}",
            )
        self._name = name
        with self._in_words():
            self._inner = Signer.from_priv_key_uri(name, public, _pin)

    @property
    def public_key(self) -> Key:
        """The public key that was given."""
        return self._inner.public_key

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> "ServiceSigner":
        """Open a key by its name, as the library wants it; the PIN is not asked for otherwise."""
        del secrets_handler
        return cls(priv_key_uri, public_key)

    def sign(self, payload: bytes) -> Signature:
        """Sign, and make sure that the public key says so.

        Raises:
            ConfigError: the PIN is not given.
            StoreError: there is no such token or key, it refused, or the public key is another one's.
        """
        signature = self._sign_apart(payload) if self._kind == "hsm" else self.sign_here(payload)
        try:
            self.public_key.verify_signature(signature, payload)
        except UnverifiedSignatureError:
            raise StoreError(
                "the public key is not of the key that signed",
                where=self._name,
                to_do="export the public key of this very key, and name it: signing.public_key",
            ) from None
        return signature

    def sign_here(self, payload: bytes) -> Signature:
        """Sign in this process, whoever the signature turns out to be of.

        Raises:
            ConfigError: the PIN is not given.
            StoreError: there is no such token or key, or it refused.
        """
        with self._in_words():
            return self._inner.sign(payload)

    def _sign_apart(self, payload: bytes) -> Signature:
        key = self.public_key
        function, label = f"{__name__}:sign_in_child", f"signing with {self._name}"
        try:
            signature = isolate.call(function, self._name, key.keyid, key.to_dict(), payload.hex(), label=label)
        except ExportError as error:  # it crashed
            raise StoreError(
                error.what, where=f"variable {LIBRARY}", to_do="try the token's library with its own tools"
            ) from None
        return Signature(key.keyid, signature)

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except EdgewrightError:
            raise
        except UnsupportedLibraryError as error:
            raise ToolkitMissing(
                f"a key of {self._kind} needs a library that is not installed",
                where=self._name,
                to_do=f"pip install 'securesystemslib[{EXTRAS[self._kind]}]>=1.6,<2'",
            ) from error
        except Exception as error:  # each service's client has errors of its own
            self._refuse(error)

    def _refuse(self, error: Exception) -> NoReturn:
        kind, pin = type(error).__name__, os.environ.get(PIN)
        said = str(error).strip()[:300]
        why = _OF_PIN.get(kind) or (kind if not said or (pin and pin in said) else said)
        to_do = "check the service, the key's name, and the rights of whoever runs this"
        if kind in _OF_PIN:
            to_do = f"correct the variable {PIN} before the next try: after a few wrong PINs a token locks itself"
        elif self._kind == "hsm":
            to_do = f"check the key (hsm:<id>?label=<token>, ECDSA P-256 or P-384), and {LIBRARY}: the token's library"
        # From nothing: ZenML keeps the traceback, and the client's own words may hold the PIN.
        raise StoreError(f"{self._kind} gave no signature: {why}", where=self._name, to_do=to_do) from None


def sign_in_child(name: str, key_id: str, key: dict[str, Any], payload: str) -> str:
    """Child process: sign what is given in hex; return the signature in hex."""
    return ServiceSigner(name, Key.from_dict(key_id, key)).sign_here(bytes.fromhex(payload)).signature


def _pin(_: str) -> str:
    try:
        return os.environ[PIN]
    except KeyError:
        raise ConfigError("the token wants a PIN", where=f"variable {PIN}, which is not set", to_do="set it") from None
