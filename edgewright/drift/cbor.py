# SPDX-License-Identifier: Apache-2.0
"""Reports as CBOR (RFC 8949), which say the same as JSON with sketches as byte strings: read strictly, then checked as JSON is.

What a report has no use for is refused while it is decoded: tags, indefinite lengths, repeated keys, deep nesting, what follows
its end. A length that is told and not there costs nothing, since the decoder reads before it makes room.
"""

import base64
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from edgewright.drift.report import LONGEST, DeviceReport, Refused, parse
from edgewright.errors import ToolkitMissing

#: report -> features -> feature -> buckets
_DEEPEST = 4


def parse_cbor(data: bytes) -> DeviceReport:
    """Read one report.

    Raises:
        Refused: it is too long, no CBOR as a report may hold it, or breaks the schema.
        ToolkitMissing: cbor2 is not installed.
    """
    if len(data) > LONGEST:
        raise Refused("too long", f"{len(data)} bytes")
    page = _decoded(data)
    if not isinstance(page, dict):
        raise Refused("breaks the schema", "it is no map")
    try:
        return parse(json.dumps(_with_text(page)).encode())
    except TypeError as error:  # bytes elsewhere, undefined, and what else JSON has no word for
        raise Refused("breaks the schema", str(error)[:200]) from None


def _decoded(data: bytes) -> Any:
    try:
        from cbor2 import CBORDecodeError, CBORDecoder
    except ImportError as error:
        raise ToolkitMissing.of("reading CBOR reports", ["cbor2"], "pip install 'edgewright[cbor]'") from error
    stream = io.BytesIO(data)
    decoder = CBORDecoder(
        stream,
        semantic_decoders=_NoTags(),
        max_depth=_DEEPEST,
        allow_indefinite=False,
        allow_duplicate_keys=False,
        strict_hashable_types=True,
    )
    try:
        page = decoder.decode()
    except (CBORDecodeError, ValueError) as error:
        raise Refused("not CBOR", str(error)[:200]) from None
    if stream.tell() != len(data):
        raise Refused("not CBOR", f"{len(data) - stream.tell()} bytes behind its end")
    return page


def _with_text(page: dict[str, Any]) -> dict[str, Any]:
    """The report with its sketches as base64; a sketch as text is none here."""
    features = page.get("features")
    if not isinstance(features, dict):
        return page
    return {**page, "features": {name: _feature(feature) for name, feature in features.items()}}


def _feature(feature: Any) -> Any:
    held = feature.get("kll") if isinstance(feature, dict) else None
    if held is None:
        return feature
    if not isinstance(held, bytes):
        raise Refused("breaks the schema", "a sketch is no byte string")
    return {**feature, "kll": base64.b64encode(held).decode("ascii")}


def _refuse_tag(*_: object) -> NoReturn:
    raise ValueError("tags have no place in a report")


class _NoTags(Mapping[int, Callable[..., Any]]):
    """Says of every tag, known to the decoder or not, that it is refused: some of them compute, as decimal fractions do."""

    def __getitem__(self, tag: int) -> Callable[..., Any]:
        return _refuse_tag

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 1
