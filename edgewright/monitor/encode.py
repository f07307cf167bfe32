# SPDX-License-Identifier: Apache-2.0
"""A report as bytes: JSON, or CBOR (RFC 8949), which says the same with sketches as byte strings instead of base64."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright.errors import ConfigError, ToolkitMissing

#: ending of a report's file to its media type; the ending without its dot names the encoding
MEDIA_TYPES = {".json": "application/json", ".cbor": "application/cbor"}
_CBOR = ("cbor2", "pip install 'cbor2>=5.6,<7'")


def require(encoding: str) -> None:
    """Make sure that reports can be written so.

    Raises:
        ConfigError: there is no such encoding.
        ToolkitMissing: CBOR, without cbor2.
    """
    if f".{encoding}" not in MEDIA_TYPES:
        raise ConfigError(f"reports are not written as {encoding!r}", where="Monitor(encoding=…)", to_do="'json' or 'cbor'")
    if encoding == "cbor":
        _cbor2()


def encode(page: Mapping[str, Any], encoding: str) -> bytes:
    """Write a report, whose sketches are base64, in an encoding that `require` let pass."""
    if encoding == "json":
        return json.dumps(page, separators=(",", ":")).encode()
    features = {name: _with_bytes(feature) for name, feature in page["features"].items()}
    written: bytes = _cbor2().dumps({**page, "features": features})
    return written


def device_of(report: Path) -> str:
    """Name of the device that wrote a report of ours."""
    content = report.read_bytes()
    if report.suffix == ".cbor":
        return str(_cbor2().loads(content)["device"])
    return content.decode("utf-8").partition('"device":"')[2].partition('"')[0]


def reports_in(outbox: Path) -> list[Path]:
    """All reports of an outbox, oldest first."""
    return sorted(file for file in outbox.glob("[0-9]*") if file.suffix in MEDIA_TYPES)


def _with_bytes(feature: Mapping[str, Any]) -> dict[str, Any]:
    held = feature.get("kll")
    return {**feature, "kll": base64.b64decode(held)} if held else dict(feature)


def _cbor2() -> Any:
    try:
        import cbor2
    except ImportError as error:
        raise ToolkitMissing.of("CBOR", _CBOR[:1], _CBOR[1]) from error
    return cbor2
