# SPDX-License-Identifier: Apache-2.0
"""Reports on their way: into a folder, to a server over HTTP, or to an MQTT broker. One leaves the outbox once it was taken."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edgewright.errors import ConfigError, StoreError, ToolkitMissing
from edgewright.monitor import files
from edgewright.monitor.encode import MEDIA_TYPES, device_of, reports_in

TIMEOUT_S = 30


def deliver(outbox: Path, to: str, *, token: str | None = None) -> int:
    """Send every report of an outbox, oldest first, and remove each that was taken; return how many were.

    Args:
        outbox: `Monitor.outbox`.
        to: a folder, http(s)://…, or mqtt(s)://[user:password@]host[:port]/topic (needs paho-mqtt).
        token: sent as bearer token over HTTP.

    Raises:
        ConfigError: no such way to send.
        ToolkitMissing: MQTT, without paho-mqtt.
        StoreError: it was not taken; it and all after it stay in the outbox.
    """
    scheme = urlsplit(to).scheme
    sent = 0
    for report in reports_in(outbox):
        if scheme in ("http", "https"):
            _post(report, to, token)
        elif scheme in ("mqtt", "mqtts"):
            _publish(report, to)
        elif scheme in ("", "file"):
            _copy(report, Path(unquote(urlsplit(to).path)) if scheme else Path(to))
        else:
            raise ConfigError(f"reports are not sent over {scheme}", where=to, to_do="a folder, http(s)://… or mqtt(s)://…")
        report.unlink()
        sent += 1
    return sent


def _copy(report: Path, folder: Path) -> None:
    try:
        files.write(folder / f"{device_of(report)}-{report.name}", report.read_bytes())
    except OSError as error:
        raise StoreError(f"a report cannot be written: {error.strerror}", where=str(folder)) from error


def _post(report: Path, url: str, token: str | None) -> None:
    headers = {"Content-Type": MEDIA_TYPES[report.suffix], **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(url, report.read_bytes(), headers, method="POST")  # noqa: S310 - http or https, see deliver
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
            return
    except (urllib.error.URLError, OSError) as error:
        raise StoreError(f"a report was not taken: {error}", where=_shown(url), to_do="it stays in the outbox") from error


def _publish(report: Path, url: str) -> None:
    try:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
    except ImportError as error:
        raise ToolkitMissing.of("MQTT", ["paho.mqtt"], "pip install 'paho-mqtt>=2.1,<3'") from error
    parts = urlsplit(url)
    client = Client(CallbackAPIVersion.VERSION2)
    if parts.username:
        client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
    if parts.scheme == "mqtts":
        client.tls_set()
    try:
        client.connect(parts.hostname or "localhost", parts.port or (8883 if parts.scheme == "mqtts" else 1883))
        client.loop_start()
        message = client.publish(parts.path.lstrip("/"), report.read_bytes(), qos=1)
        message.wait_for_publish(TIMEOUT_S)
        taken = message.rc == MQTTErrorCode.MQTT_ERR_SUCCESS and message.is_published()
    except (OSError, ValueError, RuntimeError) as error:
        raise StoreError(f"a report was not taken: {error}", where=_shown(url), to_do="it stays in the outbox") from error
    finally:
        client.disconnect()
        client.loop_stop()
    if not taken:
        raise StoreError("the broker took no report", where=_shown(url), to_do="it stays in the outbox")


def _shown(url: str) -> str:
    """The address without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
