# SPDX-License-Identifier: Apache-2.0
"""The command of the packed probe, on a device.

    python probe.pyz look FOLDER          one line of JSON: this machine, its Python, and the room in FOLDER
    python probe.pyz digest FILE...       one line of JSON: the sha256 of each file that is there
    python probe.pyz run FOLDER SECONDS   serve FOLDER's request, once the machine is free; SECONDS are waited at most
    python probe.pyz serve FOLDER         the same for a caller that holds the machine itself

It ends when its standard input does: that is the link to whoever asked, and nobody else would end it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgewright.onboard.digest import sha256_of
from edgewright.onboard.lease import lease
from edgewright.onboard.machine import machine

#: lines by which the process says how far it is
WAITING, HOLDING = "edgewright: waiting for the device", "edgewright: holding the device"


def main() -> int:
    """Do what the arguments say."""
    command, *arguments = sys.argv[1:]
    commands: dict[str, Callable[..., int]] = {"look": _look, "digest": _digest, "run": _run, "serve": _serve}
    return commands[command](*arguments)


def _look(folder: str) -> int:
    numpy = importlib.util.find_spec("numpy") is not None
    room = {"free_bytes": shutil.disk_usage(folder).free, "numpy": numpy, "python": platform.python_version()}
    print(json.dumps({**room, "executable": sys.executable, "facts": machine()}))
    return 0


def _digest(*files: str) -> int:
    print(json.dumps({file: sha256_of(Path(file)) for file in files if Path(file).is_file()}))
    return 0


def _run(folder: str, longest_wait: str) -> int:
    from edgewright.onboard.probe import onboard_loader, serve  # needs numpy, for which `look` has looked

    threading.Thread(target=_end_with_link, daemon=True).start()
    return serve(Path(folder), onboard_loader, lambda: _held(float(longest_wait)))


def _serve(folder: str) -> int:
    from edgewright.onboard.probe import onboard_loader, serve

    threading.Thread(target=_end_with_link, daemon=True).start()
    return serve(Path(folder), onboard_loader)


@contextmanager
def _held(longest_wait: float) -> Iterator[None]:
    with lease(lambda: print(WAITING, flush=True), longest_wait):
        print(HOLDING, flush=True)
        yield


def _end_with_link() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
