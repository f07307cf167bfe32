# SPDX-License-Identifier: Apache-2.0
"""Reports on their way: a folder, an HTTP server and a real MQTT broker; what was not taken stays."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import cbor2
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from edgewright.errors import ConfigError, StoreError
from edgewright.monitor import deliver

AS_JSON = b'{"device":"camera-17","sequence":1}'
AS_CBOR = cbor2.dumps({"device": "camera-17", "sequence": 2})
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    folder = tmp_path / "outbox"
    folder.mkdir()
    (folder / f"{1:020d}.json").write_bytes(AS_JSON)
    (folder / f"{2:020d}.cbor").write_bytes(AS_CBOR)
    return folder


class Server(HTTPServer):
    taken: list[tuple[str | None, str | None, bytes]]
    answer = 204


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.headers["Authorization"], self.headers["Content-Type"], body))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.taken = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_into_a_folder(outbox: Path, tmp_path: Path) -> None:
    assert deliver(outbox, str(tmp_path / "in")) == 2
    arrived = sorted((tmp_path / "in").iterdir())
    assert [(file.name[:10], file.read_bytes()) for file in arrived] == [("camera-17-", AS_JSON), ("camera-17-", AS_CBOR)]
    assert [file.suffix for file in arrived] == [".json", ".cbor"]
    assert list(outbox.iterdir()) == []
    assert deliver(outbox, (tmp_path / "in").as_uri()) == 0


def test_over_http_with_a_token(outbox: Path, server: Server) -> None:
    assert deliver(outbox, f"http://127.0.0.1:{server.server_port}/drift", token="secret") == 2
    assert server.taken == [
        ("Bearer secret", "application/json", AS_JSON),
        ("Bearer secret", "application/cbor", AS_CBOR),
    ]
    assert list(outbox.iterdir()) == []


def test_what_a_server_refuses_stays_and_its_password_is_not_told(outbox: Path, server: Server) -> None:
    server.answer = 503
    with pytest.raises(StoreError, match="not taken") as caught:
        deliver(outbox, f"http://127.0.0.1:{server.server_port}/drift", token="secret")
    assert "secret" not in caught.value.message
    assert len(list(outbox.iterdir())) == 2
    with pytest.raises(StoreError) as caught:
        deliver(outbox, "mqtt://user:hidden@127.0.0.1:9/drift")
    assert "hidden" not in caught.value.message
    assert len(list(outbox.iterdir())) == 2


def test_no_other_way(outbox: Path) -> None:
    with pytest.raises(ConfigError, match="not sent over ftp"):
        deliver(outbox, "ftp://example.org/drift")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    (tmp_path / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    command = [MOSQUITTO, "-v", "-c", str(tmp_path / "mosquitto.conf")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert any(line.rstrip().endswith("running") for line in process.stderr)  # it listens by then
    yield port
    process.terminate()
    process.wait()


def test_over_mqtt(outbox: Path, broker: int) -> None:
    taken: list[bytes] = []
    ready, whole = threading.Event(), threading.Event()
    listener = Client(CallbackAPIVersion.VERSION2)
    listener.on_subscribe = lambda *_: ready.set()

    def on_message(_client: object, _data: object, message: object) -> None:
        taken.append(message.payload)  # type: ignore[attr-defined]
        if len(taken) == 2:
            whole.set()

    listener.on_message = on_message
    listener.connect("127.0.0.1", broker)
    listener.loop_start()
    listener.subscribe("fleet/drift", qos=1)
    assert ready.wait(20)
    assert deliver(outbox, f"mqtt://127.0.0.1:{broker}/fleet/drift") == 2
    assert whole.wait(20)
    listener.disconnect()
    listener.loop_stop()
    assert taken == [AS_JSON, AS_CBOR]
    assert list(outbox.iterdir()) == []
