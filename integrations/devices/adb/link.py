# SPDX-License-Identifier: Apache-2.0
"""Commands and files through Debian's adb, and its errors in words.

What adb says is of its version 29 (Debian 12); a phone before Android 7 tells no exit status, so each command prints its own.
"""

import re
import subprocess
from pathlib import Path

from edgewright.errors import DeviceError
from edgewright.integrations.devices.adb.options import AdbOptions

_STATUS = re.compile(r"edgewright-status:(\d+)\s*$")
_LAST_LINES = 12
#: what adb says -> what is wrong, and what to do
_ERRORS = {
    "no devices/emulators found": ("adb sees no phone", "plug it in, allow USB debugging on it, and try: adb devices"),
    "unauthorized": ("the phone does not trust this machine yet", "unlock it and answer 'Allow USB debugging?' with yes"),
    "still authorizing": ("the phone does not trust this machine yet", "unlock it and answer 'Allow USB debugging?' with yes"),
    "offline": ("the phone is offline", "plug it in again, or: adb reconnect"),
    "more than one device": ("adb sees several phones", "name one of 'adb devices' in device_options.serial"),
    "' not found": ("adb does not see this phone", "check device_options.serial against: adb devices"),
    "cannot connect to daemon": ("adb's server does not start", "see what it says: adb start-server"),
    "does not exist": ("a file is not there on the phone", "the runner has to write it: docs/how-to/android.md"),
    "No space left on device": ("the phone's disk is full", "make room there, or name another folder: device_options.folder"),
}


class AdbLink:
    """One phone."""

    def __init__(self, options: AdbOptions) -> None:
        self._options = options

    @property
    def name(self) -> str:
        """For messages."""
        return self._options.serial or "the phone"

    def shell(self, command: str, seconds: float | None = None) -> str:
        """Return what a command on the phone printed.

        Raises:
            DeviceError: the phone cannot be reached, the command failed, or it took too long.
        """
        printed = self._adb(["shell", f"{command}; echo edgewright-status:$?"], seconds)
        found = _STATUS.search(printed)
        printed = _STATUS.sub("", printed)
        if found is None:
            raise DeviceError(f"the link to {self.name} broke", where=_tail(printed), to_do="check the cable, and run it again")
        status = int(found[1])
        if status:
            raise DeviceError(
                f"a command on {self.name} {_ending(status)}",
                where=f"{command}\n  {_tail(printed)}",
                to_do="137 often means that memory ran out; 126 and 127, that a program was not built for this phone",
            )
        return printed

    def push(self, source: Path, target: str) -> None:
        """Send a file, and check that it arrived as it is.

        Raises:
            DeviceError: it did not.
        """
        self._adb(["push", str(source), target])

    def pull(self, source: str, target: Path) -> None:
        """Fetch a file.

        Raises:
            DeviceError: it is not there.
        """
        self._adb(["pull", source, str(target)])

    def _adb(self, words: list[str], seconds: float | None = None) -> str:
        options = self._options
        command = [options.adb, *(["-s", options.serial] if options.serial else []), *words]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                timeout=seconds or options.timeout, text=True, errors="replace",
            )  # fmt: skip
        except FileNotFoundError:
            raise DeviceError(
                f"there is no command {options.adb!r}", where="device_options.adb", to_do="apt-get install adb"
            ) from None
        except subprocess.TimeoutExpired as error:
            raise DeviceError(
                f"{' '.join(words)[:200]} was stopped after {error.timeout:g} s",
                where=self.name,
                to_do="raise device_options.timeout, or lower measuring.invocations",
            ) from None
        if done.returncode:
            raise self._refused(done.stdout)
        return done.stdout

    def _refused(self, said: str) -> DeviceError:
        for words, (what, to_do) in _ERRORS.items():
            if words in said:
                return DeviceError(what, where=f"{self.name}: {_tail(said)}", to_do=to_do)
        return DeviceError(f"adb refused: {_tail(said)}", where=self.name, to_do="try it by hand: adb shell true")


def _ending(status: int) -> str:
    return f"crashed with signal {status - 128}" if status > 128 else f"ended with exit code {status}"


def _tail(printed: str) -> str:
    return "\n  ".join(printed.strip().splitlines()[-_LAST_LINES:]) or "it printed nothing"
