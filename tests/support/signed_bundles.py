# SPDX-License-Identifier: Apache-2.0
"""A signed bundle of a release as it could have been, its keys, and everything that can be wrong with it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tracked_releases import make_artifact, make_facts

from edgewright.artifact import Artifact
from edgewright.report.facts import ReleaseFacts
from edgewright.trust import archive
from edgewright.trust.envelope import sign
from edgewright.trust.keys import make_key, public_key, signer_of
from edgewright.trust.release import sign_target
from edgewright.trust.signed import PROVENANCE
from edgewright.trust.statement import PAYLOAD_TYPE

RUN, FINISHED = "0123456789abcdef", datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Signed:
    """A bundle on disk, and what it was made of."""

    path: Path
    digest: str
    key: Path
    artifact: Artifact
    facts: ReleaseFacts

    @property
    def trusted(self) -> list[Any]:
        return [public_key(self.key.with_suffix(".pub"))]

    @property
    def files(self) -> dict[str, bytes]:
        """Everything in it, by name."""
        return {name: archive.content(self.path, entry, 10**8) for name, entry in archive.read(self.path).items()}

    def with_files(self, out: Path, changes: Mapping[str, bytes | None], signed_again: bool = False) -> Path:
        """Write the bundle with files replaced (None: taken out): by somebody without the key, or by whoever has it."""
        files = {name: content for name, content in {**self.files, **changes}.items() if content is not None}
        if signed_again:
            page = json.loads(_payload(files.pop(PROVENANCE)))
            page["subject"] = [
                {"name": name, "digest": {"sha256": _sha256(content)}} for name, content in sorted(files.items())
            ]
            files[PROVENANCE] = sign(json.dumps(page).encode(), PAYLOAD_TYPE, signer_of(f"file:{self.key}"))
        archive.write(out, files)
        return out

    def with_page(self, out: Path, name: str, change: Any) -> Path:
        """Write the bundle, signed by its own key, with a JSON page changed by a function."""
        if name == PROVENANCE:
            page = json.loads(_payload(self.files[PROVENANCE]))
            change(page)
            envelope = sign(json.dumps(page).encode(), PAYLOAD_TYPE, signer_of(f"file:{self.key}"))
            return self.with_files(out, {PROVENANCE: envelope})
        page = json.loads(self.files[name])
        change(page)
        return self.with_files(out, {name: json.dumps(page).encode()}, signed_again=True)


def sign_release(folder: Path, target: str = "phone", content: bytes = b"int8", key: Path | None = None) -> Signed:
    """Release and sign one target; the key is made where none is given."""
    folder.mkdir(parents=True, exist_ok=True)
    if key is None:
        key = folder / "release.pem"
        make_key(key)
    artifact = make_artifact(folder / "made", content)
    artifact = Artifact.seal(artifact.path, _calibrated(artifact))
    facts = make_facts(artifact, target)
    facts = facts.model_copy(update={"candidate": facts.candidate.model_copy(update={"parent": "b" * 64})})  # a warm start
    out = folder / f"{target}.bundle"
    digest = sign_target(facts, facts.targets[0], artifact, RUN, FINISHED, signer_of(f"file:{key}"), out)
    return Signed(out, digest, key, artifact, facts)


def _calibrated(artifact: Artifact) -> Any:
    return artifact.facts.model_copy(update={"quantization": {"ptq_w8a8": {"calibration_digest": "ca" * 32}}})


def _payload(envelope: bytes) -> bytes:
    import base64

    return base64.b64decode(json.loads(envelope)["payload"])


def _sha256(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()
