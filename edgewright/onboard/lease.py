# SPDX-License-Identifier: Apache-2.0
"""The lease of a machine: two measurements on it never overlap, from wherever and by whomever they are asked for."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgewright.errors import DeviceError

LOCK = "edgewright-local-device.lock"
_POLL_S = 0.2


@contextmanager
def lease(waiting: Callable[[], object], longest: float | None = None, lock: str = LOCK) -> Iterator[None]:
    """Hold the machine's lock; it falls with the process that holds it, however that ends.

    Args:
        waiting: called once when somebody else holds it.
        longest: seconds to wait; None waits for as long as it takes.
        lock: name of the lock's file; another one for a device that this machine drives and is not.

    Raises:
        DeviceError: it was not free in that time.
    """
    descriptor = _open_lock(Path(tempfile.gettempdir()) / lock)
    try:
        if not _take(descriptor, fcntl.LOCK_NB):
            waiting()
            _wait(descriptor, longest)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, longest: float | None) -> None:
    if longest is None:
        _take(descriptor, 0)
        return
    ends = time.monotonic() + longest
    while not _take(descriptor, fcntl.LOCK_NB):
        if time.monotonic() > ends:
            raise DeviceError(
                f"another measurement still runs on the device, after {longest:g} s of waiting",
                to_do="wait for it, or raise device_options.wait",
            )
        time.sleep(_POLL_S)


def _take(descriptor: int, flags: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | flags)
    except BlockingIOError:
        return False
    return True


def _open_lock(path: Path) -> int:
    """Open for reading, which is all a lock needs, so that another user's lock file serves as well."""
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
