# SPDX-License-Identifier: Apache-2.0
"""One run on a device, in a folder of its own: send what it needs, check what arrived, run it, fetch the answer, clean up."""

import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

import paramiko

from edgewright.device import THREAD_VARIABLES
from edgewright.errors import DeviceError
from edgewright.integrations.devices.ssh import files
from edgewright.integrations.devices.ssh.command import ask, last_lines, run
from edgewright.integrations.devices.ssh.link import Link
from edgewright.onboard.digest import sha256_of
from edgewright.onboard.probe import ERROR, FACTS, OUTPUTS

PROBE = "probe.pyz"
_OLDEST_PYTHON = (3, 9)
_KILLED = 128  # plus the signal's number: what a shell says of a command that a signal ended


class Visit:
    """A folder on the device that is there for one run."""

    def __init__(self, link: Link, name: str) -> None:
        self._link, self._options = link, link.options
        self._folder = f"{link.options.folder.rstrip('/')}/{name}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Remove the folder; where the device cannot be reached any more, what went wrong before is what counts."""
        try:
            self._over_sftp(lambda sftp: files.remove_folder(sftp, self._folder))
        except DeviceError:
            if error is None:
                raise
        finally:
            self._link.close()

    def look(self, probe: Path) -> dict[str, Any]:
        """Send the probe, and have it look at the machine.

        Returns:
            ``facts`` of the machine, and ``free_bytes`` in the folder.

        Raises:
            DeviceError: there is no Python that can run it, or no numpy.
        """
        self._send({PROBE: probe})
        status, printed = self._ask("look", self._folder)
        seen = _json(printed) if status == 0 else None
        python = self._options.python
        if seen is None or tuple(int(part) for part in seen["python"].split(".")[:2]) < _OLDEST_PYTHON:
            found = f"it is Python {seen['python']}" if seen else last_lines(printed)
            raise DeviceError(
                f"{python!r} on {self._options.host} cannot run the probe: {found}",
                where="device_options.python",
                to_do="install Python 3.9 or later there, or name it: device_options.python",
            )
        if not seen["numpy"]:
            raise DeviceError(
                f"numpy is not installed for {python!r} on {self._options.host}",
                to_do=f"run there: {seen['executable']} -m pip install numpy",
            )
        return seen

    def send(self, sources: Mapping[str, Path], free: int, answer_bytes: int) -> None:
        """Send files, and have the device check that they arrived as they are.

        Args:
            sources: the files, by their path in the folder.
            free: bytes that are free in the folder.
            answer_bytes: room that the answer will take.

        Raises:
            DeviceError: there is no room for them, or they arrive damaged twice.
        """
        needed = sum(source.stat().st_size for source in sources.values()) + answer_bytes
        if needed > free:
            raise self._full(f"{free:,} bytes are free, {needed:,} are needed")
        self._send(sources)

    def run(self, threads: int, what: str) -> None:
        """Serve the request in the folder.

        Raises:
            DeviceError: the process crashed, or took too long; it says what it printed last.
        """
        variables = " ".join(f"{name}={threads}" for name in THREAD_VARIABLES)
        command = f"env {variables} {self._command('run', self._folder, f'{self._options.wait:g}')}"
        status, printed = self._link.keep(lambda client: run(client, command, self._options))
        if status in (0, 3):
            return
        ending = f"crashed with signal {status - _KILLED}" if status > _KILLED else f"ended with exit code {status}"
        raise DeviceError(
            f"{what} {ending} on {self._options.host}",
            where=last_lines(printed),
            to_do="signal 9 often means that memory ran out; any other signal is a fault in the runtime or the file",
        )

    def fetch(self, folder: Path) -> None:
        """Fetch the answer."""
        for name in (ERROR, FACTS, OUTPUTS):
            self._over_sftp(lambda sftp, name=name: files.fetch(sftp, f"{self._folder}/{name}", folder / name))  # type: ignore[misc]

    def _send(self, sources: Mapping[str, Path]) -> None:
        wrong = list(sources)
        for _ in range(2):
            for name in wrong:
                self._over_sftp(lambda sftp, name=name: self._put(sftp, name, sources[name]))  # type: ignore[misc]
            wrong = self._damaged(sources)
            if not wrong:
                return
            for name in wrong:
                self._over_sftp(lambda sftp, name=name: sftp.remove(f"{self._folder}/{name}"))  # type: ignore[misc]
        raise DeviceError(
            f"{', '.join(wrong)} arrived damaged on {self._options.host}, twice (the sha256 differs)",
            where=self._folder,
            to_do="check the device's disk and memory",
        )

    def _put(self, sftp: paramiko.SFTPClient, name: str, source: Path) -> None:
        try:
            for inner in reversed(PurePosixPath(name).parents):
                files.make_folder(sftp, str(PurePosixPath(self._folder) / inner))
            files.send(sftp, source, f"{self._folder}/{name}")
        except PermissionError as error:
            raise DeviceError(
                f"{self._options.user} may not write on {self._options.host}",
                where=self._folder,
                to_do="name a folder that they may write in: device_options.folder",
            ) from error
        except FileNotFoundError as error:
            to_do = "name a folder that is there: device_options.folder"
            raise DeviceError(f"there is no such folder on {self._options.host}", where=self._folder, to_do=to_do) from error

    def _damaged(self, sources: Mapping[str, Path]) -> list[str]:
        status, printed = self._ask("digest", *(f"{self._folder}/{name}" for name in sources))
        if status:
            return [] if PROBE in sources else list(sources)  # a Python that cannot run it: `look` says so
        arrived = _json(printed) or {}
        return [name for name, source in sources.items() if arrived.get(f"{self._folder}/{name}") != sha256_of(source)]

    def _ask(self, *arguments: str) -> tuple[int, str]:
        command = self._command(*arguments)
        return self._link.keep(lambda client: ask(client, command, self._options))

    def _command(self, *arguments: str) -> str:
        return " ".join([shlex.quote(word) for word in (self._options.python, f"{self._folder}/{PROBE}", *arguments)])

    def _over_sftp(self, act: Callable[[paramiko.SFTPClient], None]) -> None:
        def once(client: paramiko.SSHClient) -> None:
            with client.open_sftp() as sftp:
                act(sftp)

        try:
            self._link.keep(once)
        except OSError as error:  # SFTP has no word for a full disk: servers say "Failure"
            raise self._full(f"it refused a file: {error}") from error

    def _full(self, why: str) -> DeviceError:
        return DeviceError(
            f"the disk of {self._options.host} is full: {why}",
            where=self._options.folder,
            to_do="make room there, or name another folder: device_options.folder",
        )


def _json(printed: str) -> dict[str, Any] | None:
    """The last line, which is the answer: what a login shell prints comes before it."""
    try:
        answer = json.loads(printed.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return None
    return answer if isinstance(answer, dict) else None
