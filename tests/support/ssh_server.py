# SPDX-License-Identifier: Apache-2.0
"""A real sshd on loopback with keys of its own, and a link to it that can be cut."""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Server:
    """Where it listens, and the folder that holds its keys."""

    folder: Path
    port: int

    def known_hosts(self, *ports: int, key: str = "host_key") -> str:
        """Write a known_hosts file in which the host has a key, on these ports too."""
        kind, text = (self.folder / f"{key}.pub").read_text().split()[:2]
        file = self.folder / f"known_hosts-{key}-{'-'.join(map(str, ports))}"
        file.write_text("".join(f"[127.0.0.1]:{port} {kind} {text}\n" for port in (self.port, *ports)))
        return str(file)


@contextmanager
def ssh_server(folder: Path) -> Iterator[Server]:
    """Run sshd for this user, on a free port."""
    for name in ("host_key", "user_key", "other_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # run by root, sshd wants it
    port = _free_port()
    (folder / "sshd_config").write_text(CONFIG.format(folder=folder, port=port))
    daemon = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd_config"], stderr=subprocess.PIPE, text=True)
    try:
        assert daemon.stderr is not None
        told = daemon.stderr.readline()
        assert "listening" in told, told
        threading.Thread(target=daemon.stderr.read, daemon=True).start()
        yield Server(folder, port)
    finally:
        daemon.terminate()
        daemon.wait()


class Link:
    """A port that leads to another; it breaks after so many bytes towards the server, once for each number given."""

    def __init__(self, target: int, *limits: int, then_dead: bool = False) -> None:
        self._target, self._limits, self._then_dead = target, list(limits), then_dead
        self.sent = 0
        """Bytes that went towards the server, over all connections."""
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break what is open."""
        for stream in self._open:
            with suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            limit = self._limits.pop(0) if self._limits else None
            server = socket.create_connection(("127.0.0.1", self._target))
            self._open += [client, server]
            threading.Thread(target=self._carry, args=(client, server, limit), daemon=True).start()
            threading.Thread(target=self._carry, args=(server, client, None, False), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, limit: int | None, up: bool = True) -> None:
        carried = 0
        with suppress(OSError):
            while data := source.recv(4096):
                target.sendall(data)
                carried += len(data)
                self.sent += len(data) if up else 0
                if limit is not None and carried >= limit:
                    if self._then_dead and not self._limits:
                        self.close()
                    break
        for stream in (source, target):
            with suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def closed_port() -> int:
    """A port on which nobody listens."""
    return _free_port()
