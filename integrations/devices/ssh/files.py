# SPDX-License-Identifier: Apache-2.0
"""Files to a device and back: what is there of one already is not sent again."""

import stat
from pathlib import Path

import paramiko

_BLOCK = 2**15  # the largest packet that every SFTP server takes
#: blocks under way at a time: more would only be lost when the link breaks
_UNDER_WAY = 8


def send(sftp: paramiko.SFTPClient, source: Path, target: str) -> None:
    """Send a file, or the rest of it when its beginning is there.

    Raises:
        OSError: the device did not take it.
    """
    there = _size(sftp, target)
    resumed = 0 < there <= source.stat().st_size
    with source.open("rb") as stream, sftp.open(target, "ab" if resumed else "wb") as out:
        out.set_pipelined(True)
        stream.seek(there if resumed else 0)
        while blocks := [block for _ in range(_UNDER_WAY) if (block := stream.read(_BLOCK))]:
            for block in blocks:
                out.write(block)
            taken = out.stat().st_size  # is answered once they are written; writes under way say nothing when they fail
            if taken != stream.tell():
                raise OSError(f"{taken} of the first {stream.tell()} bytes were written")


def fetch(sftp: paramiko.SFTPClient, source: str, target: Path) -> None:
    """Fetch a file, or the rest of it when its beginning is here; nothing when there is none."""
    size = _size(sftp, source)
    if size < 0:
        return
    here = target.stat().st_size if target.is_file() else 0
    with sftp.open(source, "rb") as stream, target.open("ab") as out:
        stream.seek(here)
        if size > here:
            stream.prefetch(size)
        while block := stream.read(_BLOCK):
            out.write(block)


def make_folder(sftp: paramiko.SFTPClient, folder: str) -> None:
    """Make a folder for its user alone, unless it is there."""
    if _size(sftp, folder) < 0:
        sftp.mkdir(folder, 0o700)


def remove_folder(sftp: paramiko.SFTPClient, folder: str) -> None:
    """Remove a folder and all in it."""
    for entry in sftp.listdir_attr(folder):
        path = f"{folder}/{entry.filename}"
        if stat.S_ISDIR(entry.st_mode or 0):
            remove_folder(sftp, path)
        else:
            sftp.remove(path)
    sftp.rmdir(folder)


def _size(sftp: paramiko.SFTPClient, path: str) -> int:
    try:
        return sftp.stat(path).st_size or 0
    except FileNotFoundError:
        return -1
