# SPDX-License-Identifier: Apache-2.0
"""What a phone is to adb: the daemon's protocol over TCP, with this machine's shell and files behind it.

Source: protocol.txt and SYNC.TXT of Android's adb (packages/modules/adb). Debian's own adb talks to it.
"""

import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_COMMANDS = {name: int.from_bytes(name.encode(), "little") for name in ("CNXN", "AUTH", "OPEN", "OKAY", "WRTE", "CLSE")}
_VERSION, _LARGEST = 0x01000001, 4096
_CHUNK = 2048


class Phone:
    """Listens on ``port`` until it is closed.

    ``trusts``: it lets this machine in; else it asks for a key for ever. ``silent``: it never answers.
    """

    def __init__(self, *, trusts: bool = True, silent: bool = False, path: str = "") -> None:
        self._trusts, self._silent, self._path = trusts, silent, path
        self._server = socket.create_server(("127.0.0.1", 0))
        self.serial = "{}:{}".format(*self._server.getsockname())
        self._links: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Break all links."""
        for link in [*self._links, self._server]:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                link, _ = self._server.accept()
                self._links.append(link)
                threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        streams: dict[int, _Stream] = {}
        with suppress(OSError, EOFError):
            while True:
                command, first, second, data = _receive(link)
                if self._silent:
                    continue
                if command in ("CNXN", "AUTH"):
                    self._greet(link, first if command == "AUTH" else 0)
                elif command == "OPEN":
                    streams[first] = _Stream(link, first, self._path)
                    streams[first].open(data.rstrip(b"\0").decode())
                elif second in streams:
                    streams[second].heard(command, data)

    def _greet(self, link: socket.socket, kind: int) -> None:
        if self._trusts:
            banner = b"device::ro.product.name=test;ro.product.model=Test;ro.product.device=test;features=\0"
            _send(link, "CNXN", _VERSION, _LARGEST, banner)
        elif kind != 3:  # 3: a public key, which a person has to accept
            _send(link, "AUTH", 1, 0, os.urandom(20))


class _Stream:
    """One service of the daemon: a command of the shell, or a transfer of files."""

    def __init__(self, link: socket.socket, theirs: int, path: str) -> None:
        self._link, self._theirs, self._path, self._taken = link, theirs, path, threading.Semaphore(0)
        self._data = b""
        self._into: tuple[Path, int, bytearray] | None = None
        self._closed = False

    def open(self, service: str) -> None:
        kind, _, command = service.partition(":")
        _send(self._link, "OKAY", self._theirs, self._theirs)
        if kind == "shell":
            threading.Thread(target=self._shell, args=(command,), daemon=True).start()
        elif kind != "sync":
            self._close()

    def heard(self, command: str, data: bytes) -> None:
        if command == "OKAY":
            self._taken.release()
        elif command == "WRTE":
            _send(self._link, "OKAY", self._theirs, self._theirs)
            self._data += data
            self._sync()
        elif command == "CLSE":
            self._taken.release(1000)

    def _shell(self, command: str) -> None:
        environment = os.environ | {"PATH": f"{self._path}:{os.environ['PATH']}"}
        done = subprocess.run(["sh", "-c", command], stdout=-1, stderr=-2, stdin=-3, env=environment, check=False)
        self._write(done.stdout)
        self._close()

    def _sync(self) -> None:
        while len(self._data) >= 8:
            kind, length = self._data[:4], struct.unpack("<I", self._data[4:8])[0]
            body = 0 if kind in (b"DONE", b"QUIT") else length
            if len(self._data) < 8 + body:
                return
            payload, self._data = self._data[8 : 8 + body], self._data[8 + body :]
            threading.Thread(target=self._answer, args=(kind, payload)).run()

    def _answer(self, kind: bytes, payload: bytes) -> None:
        if kind == b"STAT":
            file = Path(payload.decode())
            seen = (file.stat().st_mode, file.stat().st_size, 0) if file.exists() else (0, 0, 0)
            self._later(b"STAT" + struct.pack("<III", *seen))
        elif kind == b"SEND":
            name, _, mode = payload.decode().rpartition(",")
            self._into = Path(name), int(mode), bytearray()
        elif kind == b"DATA" and self._into is not None:
            self._into[2].extend(payload)
        elif kind == b"DONE" and self._into is not None:
            file, mode, content = self._into
            try:
                file.write_bytes(content)
                file.chmod(mode & 0o777)
                self._later(b"OKAY" + struct.pack("<I", 0))
            except OSError as error:
                said = f"{error.strerror}".encode()
                self._later(b"FAIL" + struct.pack("<I", len(said)) + said)
        elif kind == b"RECV":
            content = Path(payload.decode()).read_bytes()
            parts = [content[at : at + _CHUNK] for at in range(0, len(content), _CHUNK)]
            self._later(b"".join(b"DATA" + struct.pack("<I", len(part)) + part for part in parts) + b"DONE" + bytes(4))
        elif kind == b"QUIT":
            self._close()

    def _later(self, data: bytes) -> None:
        """Write on a thread of its own: the one that reads has to see that it was taken."""
        threading.Thread(target=self._write, args=(data,), daemon=True).start()

    def _write(self, data: bytes) -> None:
        with suppress(OSError):
            for at in range(0, len(data), _CHUNK):
                _send(self._link, "WRTE", self._theirs, self._theirs, data[at : at + _CHUNK])
                self._taken.acquire()

    def _close(self) -> None:
        with suppress(OSError):
            _send(self._link, "CLSE", self._theirs, self._theirs)


def _send(link: socket.socket, command: str, first: int, second: int, data: bytes = b"") -> None:
    number = _COMMANDS[command]
    link.sendall(struct.pack("<6I", number, first, second, len(data), sum(data), number ^ 0xFFFFFFFF) + data)


def _receive(link: socket.socket) -> tuple[str, int, int, bytes]:
    number, first, second, length, _, _ = struct.unpack("<6I", _exactly(link, 24))
    return number.to_bytes(4, "little").decode(), first, second, _exactly(link, length)


def _exactly(link: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = link.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


@contextmanager
def adb_server(home: Path) -> Iterator[int]:
    """Run adb's server with a home of its own, on a free port; what is set in the environment is taken back."""
    (home / ".android").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    before = {name: os.environ.get(name) for name in ("ANDROID_ADB_SERVER_PORT", "HOME")}
    os.environ |= {"ANDROID_ADB_SERVER_PORT": str(port), "HOME": str(home)}
    try:
        subprocess.run(["adb", "start-server"], check=True, capture_output=True)
        yield port
    finally:
        subprocess.run(["adb", "kill-server"], check=False, capture_output=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
