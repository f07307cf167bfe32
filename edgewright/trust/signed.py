# SPDX-License-Identifier: Apache-2.0
"""SignedBundle: all that leaves the pipeline for one target, in one file under one signature.

artifact/…              the artifact: its files and bundle.json, the manifest
bom.cdx.json            bill of materials with a model card (CycloneDX 1.6)
provenance.dsse.json    the signature: an in-toto statement on every other file, in a DSSE envelope
reference.json          sketches of the training data, to find drift against; optional
verdict.json            what the gate said, on which numbers
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from edgewright.artifact import Artifact, ArtifactManifest
from edgewright.bundle import PAGE
from edgewright.errors import StoreError
from edgewright.onboard.digest import sha256_of
from edgewright.trust import archive
from edgewright.trust.envelope import sign
from edgewright.trust.statement import PAYLOAD_TYPE, Statement
from edgewright.trust.verdict import ReleaseVerdict

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

FOLDER = "artifact/"
MANIFEST = FOLDER + PAGE
VERDICT, BOM, PROVENANCE, REFERENCE = "verdict.json", "bom.cdx.json", "provenance.dsse.json", "reference.json"
SUFFIX = ".bundle"
#: bytes of a page that is read: verdicts with their measurements have some hundred thousand
LARGEST_PAGE = 16_000_000


@dataclass(frozen=True)
class Check:
    """One thing that was checked, and what was found."""

    name: str
    found: str


@dataclass(frozen=True)
class SignedBundle:
    """A bundle whose signature and contents were checked; see `edgewright.trust.verify.checked`."""

    path: Path
    digest: str
    """The sha256 (hex) of the file."""
    key: str
    """Id of the key that signed it."""
    artifact_digest: str
    manifest: ArtifactManifest
    verdict: ReleaseVerdict
    statement: Statement
    entries: Mapping[str, archive.Entry]
    checks: tuple[Check, ...]
    """What was checked, in that order."""

    @property
    def reference(self) -> bytes | None:
        """The sketches of the training data; None where the bundle has none."""
        entry = self.entries.get(REFERENCE)
        return archive.content(self.path, entry, LARGEST_PAGE) if entry else None

    @property
    def bom(self) -> bytes:
        """The bill of materials."""
        return archive.content(self.path, self.entries[BOM], LARGEST_PAGE)

    def extract(self, out: Path) -> Artifact:
        """Write the artifact into ``out``, which is not there yet, whole or not at all.

        Raises:
            StoreError: the folder is there already or cannot be written, or the bundle was changed since it was checked.
        """
        if out.exists():
            raise StoreError("there is something already", where=str(out), to_do="name a folder that is not there")
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=out.parent, prefix=".incoming-") as folder:
                staged = Path(folder) / "artifact"
                for name in (name for name in self.entries if name.startswith(FOLDER)):
                    file = staged / name.removeprefix(FOLDER)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    with file.open("xb") as stream:
                        archive.copy(self.path, self.entries[name], stream)
                staged.rename(out)
        except OSError as error:
            raise StoreError(f"cannot unpack a bundle: {error.strerror or error}", where=str(out)) from error
        return Artifact.open(out)


@dataclass(frozen=True)
class Contents:
    """What a bundle is packed from: files by name, without the signature that is made of them."""

    files: Mapping[str, Path | bytes]

    @classmethod
    def of(cls, artifact: Artifact, verdict: ReleaseVerdict, bom: bytes, reference: bytes | None = None) -> Self:
        """Lay the parts of a bundle out under their names."""
        files: dict[str, Path | bytes] = {FOLDER + name: artifact.path / name for name in [*artifact.files, PAGE]}
        files |= {VERDICT: verdict.model_dump_json(indent=1).encode(), BOM: bom}
        return cls(files | ({} if reference is None else {REFERENCE: reference}))

    @property
    def digests(self) -> dict[str, str]:
        """Name to sha256, as the statement names them."""
        return {
            name: hashlib.sha256(given).hexdigest() if isinstance(given, bytes) else sha256_of(given)
            for name, given in self.files.items()
        }

    def pack(self, statement: bytes, signer: "Signer", out: Path) -> str:
        """Sign the statement and write the bundle, whole or not at all.

        Returns:
            The sha256 (hex) of the bundle.

        Raises:
            StoreError: it cannot be written.
        """
        envelope = sign(statement, PAYLOAD_TYPE, signer)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}-")
            os.close(handle)
            staged = Path(name)
            try:
                archive.write(staged, {**self.files, PROVENANCE: envelope})
                staged.chmod(0o644)
                digest = sha256_of(staged)
                staged.replace(out)
            finally:
                staged.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"cannot write a bundle: {error.strerror or error}", where=str(out)) from error
        return digest
