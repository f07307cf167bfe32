# SPDX-License-Identifier: Apache-2.0
"""One entry of a history: who made which version the champion, when, why, on which verdict, and after which entry.

An entry travels in a DSSE envelope. It holds the hash of the last valid entry before it, so that none can be changed,
left out or put elsewhere without all that follow showing it.
"""

import getpass
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import AwareDatetime, Field

from edgewright.gate.verdict import Outcome
from edgewright.measure import Frozen
from edgewright.trust.envelope import sign

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

PAYLOAD_TYPE = "application/vnd.edgewright.promotion.v1+json"
Action = Literal["promote", "rollback", "override"]


class Who(Frozen):
    """Who signed. Only the key proves anything; the name is what the signer called itself."""

    name: str = Field(max_length=200)
    key_id: str
    public_key: dict[str, Any] = Field(
        description="As TUF writes keys: keytype, scheme, keyval. Where no policy lists keys, the signature is checked with it."
    )


class VerdictRef(Frozen):
    """Where the verdict is that the artifact was promoted on."""

    run_id: str = Field(description="MLflow run of the release.")
    release: str = Field(description="Digest of the release's facts (release.json).")
    outcome: Outcome


class Entry(Frozen):
    """One promotion, rollback or override."""

    schema_version: Literal[1] = 1
    model: str
    sequence: int = Field(ge=1, description="The number it was written for; the registry gives another to who lost a race.")
    previous: str = Field(description="Hash of the last valid entry before it; empty in the first one.")
    when: AwareDatetime
    who: Who
    what: Action
    version: str = Field(description="Version of the model that is champion from here on.")
    digest: str = Field(description="Digest of that version's artifact.")
    verdict: VerdictRef
    why: str = Field(max_length=2000)
    overruled: tuple[str, ...] = Field(default=(), description="Of an override: what spoke against it.")


def payload(entry: Entry) -> bytes:
    """Return the bytes that are signed and hashed: the same entry gives the same bytes."""
    return entry.model_dump_json().encode()


def hash_of(content: bytes) -> str:
    """Return the hash (sha256, hex) by which the next entry names a payload."""
    return hashlib.sha256(content).hexdigest()


def signed(entry: Entry, signer: "Signer") -> str:
    """Return the entry in its envelope."""
    return sign(payload(entry), PAYLOAD_TYPE, signer).decode()


def who_signs(signer: "Signer") -> Who:
    """Describe the signer: the user's name, and the public key."""
    key = signer.public_key
    return Who(name=_user(), key_id=key.keyid, public_key=key.to_dict())


def now() -> datetime:
    """Return the present, in UTC and whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "unknown"
