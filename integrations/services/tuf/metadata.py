# SPDX-License-Identifier: Apache-2.0
"""The metadata of a repository as files, and the keys that sign them.

metadata/<version>.root.json      who may sign what; by a threshold of root keys
metadata/<version>.targets.json   which family belongs to which key
metadata/<version>.<family>.json  which bundles the family has, with their sha256
metadata/<version>.snapshot.json  which versions of the above belong together
metadata/timestamp.json           which snapshot is the newest
targets/<family>/<sha256>.<model>.bundle
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner, Key, Signer
from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import TOP_LEVEL_ROLE_NAMES, Metadata, MetaFile, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer
from tuf.repository import Repository

from edgewright.errors import EdgewrightError, StoreError
from edgewright.report.atomic import write_bytes
from edgewright.trust.keys import make_key, public_key, signer_of

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = Root.type, Targets.type, Snapshot.type, Timestamp.type
#: days after which metadata is refused; the shorter, the less long a client can be kept from news (freeze)
LIFE = {ROOT: 365, TARGETS: 180, SNAPSHOT: 30, TIMESTAMP: 7}
_NEW: dict[str, Any] = {ROOT: Root, TARGETS: Targets, SNAPSHOT: Snapshot, TIMESTAMP: Timestamp}


class KeyRing:
    """All private keys (*.pem) in some folders, found by their ids; which role one serves, the metadata says."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._signers: dict[str, Signer] = {}
        for file in (file for folder in folders if folder.is_dir() for file in sorted(folder.glob("*.pem"))):
            self._add(file)

    def make(self, role: str) -> Key:
        """Make a key for a role, in the first folder, as <role>-<number>.pem."""
        number = 1
        while any((file := self._folders[0] / f"{role}-{number}.pem").with_suffix(end).exists() for end in (".pem", ".pub")):
            number += 1
        public = make_key(file)
        self._add(file)
        return public_key(public)

    def signers(self, ids: Iterable[str]) -> list[Signer]:
        """Those of the keys that are here."""
        return [self._signers[keyid] for keyid in ids if keyid in self._signers]

    def __str__(self) -> str:
        return ", ".join(str(folder) for folder in self._folders)

    def _add(self, file: Path) -> None:
        try:
            signer = signer_of(f"file:{file}")
        except EdgewrightError:  # some other PEM file
            return
        assert isinstance(signer, CryptoSigner), "a key from a file"  # noqa: S101
        self._signers[signer.public_key.keyid] = signer


class Files(Repository):
    """The metadata of one repository: `open` reads the newest of a role, `close` signs and writes the next version."""

    def __init__(self, folder: Path, keys: KeyRing, now: datetime | None = None) -> None:
        self.folder, self.keys = folder, keys
        self.now = (now or datetime.now(UTC)).replace(microsecond=0)

    @property
    def exists(self) -> bool:
        """Whether there is a repository."""
        return (self.folder / "metadata" / "1.root.json").is_file()

    @property
    def families(self) -> dict[str, list[str]]:
        """Delegated roles, with the ids of their keys."""
        delegations = self.targets().delegations
        roles = delegations.roles if delegations and delegations.roles else {}
        return {name: list(role.keyids) for name, role in roles.items()}

    def open(self, role: str) -> Metadata[Any]:
        """Read the newest version of a role's metadata; of a role that has none, version 0."""
        file = self.file(role)
        if file is None:
            made: Metadata[Any] = Metadata(_NEW.get(role, Targets)())
            made.signed.version = 0
            return made
        try:
            return Metadata.from_file(str(file))
        except (RepositoryError, OSError, ValueError) as error:
            raise StoreError(f"cannot read {file.name}: {error}", where=str(file), to_do="restore it from a copy") from error

    def close(self, role: str, md: Metadata[Any]) -> None:
        """Sign the next version with all of the role's keys that are here, and write it.

        Raises:
            StoreError: too few of them are here.
        """
        before = self.open(ROOT) if role == ROOT else None
        md.signed.version += 1
        md.signed.expires = self.now + timedelta(days=LIFE.get(role, LIFE[TARGETS]))
        md.signatures.clear()
        holders = (
            [md.signed, before.signed] if before else [self.targets() if role not in TOP_LEVEL_ROLE_NAMES else self.root()]
        )
        for signer in self.keys.signers(dict.fromkeys(keyid for one in holders if one.version for keyid in _ids(one, role))):
            md.sign(signer, append=True)
        for one in holders:
            self._require_signed(one, role, md)
        name = f"{role}.json" if role == TIMESTAMP else f"{md.signed.version}.{role}.json"
        write_bytes(self.folder / "metadata" / name, md.to_bytes(JSONSerializer()))

    def file(self, role: str) -> Path | None:
        """The newest metadata of a role."""
        metadata = self.folder / "metadata"
        if role == TIMESTAMP:
            return metadata / "timestamp.json" if (metadata / "timestamp.json").is_file() else None
        found = {int(number): file for file in metadata.glob(f"*.{role}.json")
                 if (number := file.name.removesuffix(f".{role}.json")).isdecimal()}  # fmt: skip
        return found[max(found)] if found else None

    @property
    def targets_infos(self) -> dict[str, MetaFile]:
        """Versions that the next snapshot names."""
        return {f"{role}.json": MetaFile(self.targets(role).version) for role in [TARGETS, *self.families]}

    @property
    def snapshot_info(self) -> MetaFile:
        """Version that the next timestamp names."""
        return MetaFile(self.snapshot().version)

    def offer(self) -> None:
        """Write snapshot and timestamp; before that, clients see nothing of what was changed."""
        self.do_snapshot()
        self.do_timestamp()

    def _require_signed(self, holder: Root | Targets, role: str, md: Metadata[Any]) -> None:
        if not holder.version:
            return
        try:
            holder.verify_delegate(role, md.signed_bytes, md.signatures)
        except UnsignedMetadataError as error:
            threshold, ids = holder.get_delegated_role(role).threshold, _ids(holder, role)
            here = len(self.keys.signers(ids))
            found = f"{here} of them {'is' if here == 1 else 'are'} here"
            raise StoreError(
                f"{role} needs {threshold} of its {len(ids)} keys to sign, and {found}",
                where=str(self.keys),
                to_do="give the folders of the others too: --keys FOLDER --keys FOLDER",
            ) from error


def _ids(holder: Root | Targets, role: str) -> list[str]:
    return list(holder.get_delegated_role(role).keyids)
