# SPDX-License-Identifier: Apache-2.0
"""DSSE envelopes: JSON that says who signed which bytes of which type.

Source: https://github.com/secure-systems-lab/dsse (envelope.md, protocol.md), as securesystemslib implements it.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from edgewright.errors import StoreError
from edgewright.report.text import plain

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signer

#: an envelope is a page of JSON: more is no envelope of ours, and is not parsed
LARGEST = 4_000_000


def sign(payload: bytes, payload_type: str, signer: "Signer") -> bytes:
    """Wrap and sign a payload; ed25519 gives the same bytes for the same input."""
    from securesystemslib.dsse import Envelope

    envelope = Envelope(payload, payload_type, {})
    envelope.sign(signer)
    return json.dumps(envelope.to_dict(), indent=1, sort_keys=True).encode()


def opened(envelope: bytes, payload_type: str, trusted: Sequence["Key"], where: str) -> tuple[bytes, "Key"]:
    """Verify an envelope and unwrap it.

    Returns:
        The payload, and which of the trusted keys signed it.

    Raises:
        StoreError: it is no envelope, wraps something else, or none of the trusted keys signed these bytes.
    """
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError

    if len(envelope) > LARGEST:
        raise StoreError(f"an envelope of {len(envelope)} bytes is refused: more than {LARGEST}", where=where)
    try:
        read = Envelope.from_dict(json.loads(envelope))
    except Exception as error:  # hostile input: securesystemslib raises whatever its parts raise
        raise StoreError("this is no DSSE envelope", where=where, to_do="fetch it again from where it came from") from error
    if read.payload_type != payload_type:
        raise StoreError(f"the envelope wraps {read.payload_type!r} where {payload_type!r} belongs", where=where)
    by_id = {key.keyid: key for key in trusted}
    try:
        [signed_by] = read.verify(list(by_id.values()), 1)
    except (VerificationError, ValueError) as error:
        known, claimed = _shown(by_id) or "none", _shown(read.signatures) or "nobody"
        raise StoreError(
            f"no trusted key signed this: it claims {claimed}; trusted: {known}",
            where=where,
            to_do="do not use it, or name the public key that you trust",
        ) from error
    return read.payload, by_id[signed_by]


def _shown(ids: Iterable[str]) -> str:
    """The first few key ids; what a foreign envelope claims may be anything."""
    return ", ".join(plain(str(keyid)[:12]) for keyid in islice(ids, 4))
