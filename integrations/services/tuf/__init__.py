# SPDX-License-Identifier: Apache-2.0
"""TUF: a repository of bundles on any static host, and the client that is not deceived by it (python-tuf).

Source of all rules: The Update Framework's specification, https://theupdateframework.github.io/specification/latest/.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from edgewright.trust.signed import Check, SignedBundle


class Tuf:
    """The service that keeps repositories of bundles, and fetches from them."""

    name: ClassVar[str] = "tuf"
    requires: ClassVar[tuple[str, ...]] = ("tuf", "securesystemslib")
    install: ClassVar[str] = "pip install 'tuf>=7,<8'"

    def create(self, folder: Path, keys: Sequence[Path], root_keys: int, threshold: int) -> list[str]:
        """Start a repository in ``folder`` with new keys in the first of the key folders; return lines for people.

        Raises:
            ConfigError: the threshold cannot be met.
            StoreError: there is a repository already, or it cannot be written.
        """
        from edgewright.integrations.services.tuf.keep import create

        return create(folder, keys, root_keys, threshold)

    def publish(self, bundles: Sequence[SignedBundle], folder: Path, keys: Sequence[Path], family: str | None) -> list[str]:
        """Offer bundles that were checked, each in its target family; return lines for people.

        Raises:
            StoreError: there is no repository, or a key that has to sign is not there.
        """
        from edgewright.integrations.services.tuf.keep import publish

        return publish(bundles, folder, keys, family)

    def refresh(self, folder: Path, keys: Sequence[Path], now: datetime | None = None) -> list[str]:
        """Sign anew what will expire, as far as keys are there; return a line a role.

        Raises:
            StoreError: there is no repository, the timestamp's key is not there, or something has expired and stays so.
        """
        from edgewright.integrations.services.tuf.keep import refresh

        return refresh(folder, keys, now)

    def rotate(self, folder: Path, role: str, keys: Sequence[Path]) -> list[str]:
        """Give a role new keys, and take its old ones away; return lines for people.

        Raises:
            StoreError: there is no such role, or the keys that may decide it are not there.
        """
        from edgewright.integrations.services.tuf.keep import rotate

        return rotate(folder, role, keys)

    def fetch(self, url: str, root: Path | None, out: Path, told: Callable[[Check], None]) -> Path:
        """Download a bundle that a repository offers now into the folder ``out``.

        Args:
            url: <repository>/targets/<family>/<model>.bundle, on http, https or file.
            root: the repository's root.json, when it is not remembered yet.
            out: folder for the file.
            told: called with what was checked.

        Raises:
            ConfigError: the URL is of no bundle, or the repository is not known yet and no root is given.
            StoreError: the repository cannot be reached, or is not to be trusted: rolled back, frozen, or signed by others.
        """
        from edgewright.integrations.services.tuf.client import fetch

        return fetch(url, root, out, told)


__all__ = ["Tuf"]
