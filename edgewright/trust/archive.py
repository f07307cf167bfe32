# SPDX-License-Identifier: Apache-2.0
"""A tar that can be written in one way only, and a reader that takes nothing else.

Plain files, sorted names, no times, no owners, no extensions of the format: equal contents give equal bytes. The reader
compares every header with the one this module would have written, so links, devices, sparse files, long-name tricks and
bytes between the files are refused before anything is made of them; nothing is packed, so nothing can unfold.
"""

import hashlib
import io
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from edgewright.errors import StoreError

#: bounds of what is read at all: a bundle for a device is far below them
MOST_FILES, LARGEST_FILE, LARGEST = 2_000, 2**32, 2**33
_BLOCK, _CHUNK = tarfile.BLOCKSIZE, 1 << 20
_END = bytes(2 * _BLOCK)
_REFUSE = "do not use it; fetch it again from where it came from"


@dataclass(frozen=True)
class Entry:
    """One file in the archive: where its bytes lie, and what they are."""

    name: str
    offset: int
    size: int
    sha256: str


def write(out: Path, files: Mapping[str, Path | bytes]) -> None:
    """Write an archive of files, each given as a path or as its bytes.

    Raises:
        StoreError: a name cannot stand in an archive, or a file is too large or cannot be read or written.
    """
    _check_names(list(files), out)
    try:
        with out.open("wb") as stream:
            for name in sorted(files):
                _append(stream, name, files[name])
            stream.write(_END)
    except OSError as error:
        raise StoreError(f"cannot write a bundle: {error.strerror or error}", where=str(error.filename or out)) from error


def read(path: Path) -> dict[str, Entry]:
    """List an archive and digest its files; nothing is written anywhere.

    Raises:
        StoreError: it cannot be read, is cut short or too large, or is not byte for byte what `write` writes.
    """
    try:
        with path.open("rb") as stream:
            if stream.seek(0, io.SEEK_END) > LARGEST:
                raise StoreError(f"more than {LARGEST} bytes are no bundle", where=str(path), to_do=_REFUSE)
            stream.seek(0)
            entries = list(_entries(stream, path))
    except OSError as error:
        raise StoreError(f"cannot read a bundle: {error.strerror or error}", where=str(path)) from error
    _check_names([entry.name for entry in entries], path)
    if [entry.name for entry in entries] != sorted(entry.name for entry in entries):
        raise _strange(path, "its files are not in order")
    return {entry.name: entry for entry in entries}


def content(path: Path, entry: Entry, most: int) -> bytes:
    """Read one file of the archive again, which must still be what it was.

    Raises:
        StoreError: it has more than ``most`` bytes, or the archive was changed since it was read.
    """
    if entry.size > most:
        raise StoreError(f"{entry.name} has {entry.size} bytes, and at most {most} are read", where=str(path), to_do=_REFUSE)
    out = io.BytesIO()
    copy(path, entry, out)
    return out.getvalue()


def copy(path: Path, entry: Entry, out: BinaryIO) -> None:
    """Copy the bytes of one file out of the archive.

    Raises:
        StoreError: the archive was changed since it was read, or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            stream.seek(entry.offset)
            for chunk in _chunks(stream, entry.size):
                digest.update(chunk)
                out.write(chunk)
    except OSError as error:
        raise StoreError(f"cannot read a bundle: {error.strerror or error}", where=str(path)) from error
    if digest.hexdigest() != entry.sha256:
        raise StoreError(f"{entry.name} was changed while it was read", where=str(path), to_do=_REFUSE)


def _append(stream: BinaryIO, name: str, given: Path | bytes) -> None:
    size = len(given) if isinstance(given, bytes) else given.stat().st_size
    header = _header(name, size)
    if header is None or size > LARGEST_FILE:
        raise StoreError(f"{name!r} of {size} bytes cannot stand in a bundle", where=str(given)[:300])
    stream.write(header)
    written = 0
    with io.BytesIO(given) if isinstance(given, bytes) else given.open("rb") as source:
        for chunk in iter(lambda: source.read(_CHUNK), b""):
            written += stream.write(chunk)
    if written != size:
        raise StoreError(f"{name!r} changed while it was packed", where=str(given)[:300], to_do="run again")
    stream.write(bytes(-size % _BLOCK))


def _entries(stream: BinaryIO, path: Path) -> Iterator[Entry]:
    for _ in range(MOST_FILES + 1):
        block = stream.read(_BLOCK)
        if block == _END[:_BLOCK]:
            if stream.read(len(_END)) != _END[_BLOCK:]:
                raise _strange(path, "there is something behind its end")
            return
        name, size = _named(block, path)
        offset, digest = stream.tell(), hashlib.sha256()
        for chunk in _chunks(stream, size):
            digest.update(chunk)
        if stream.tell() != offset + size or stream.read(-size % _BLOCK) != bytes(-size % _BLOCK):
            raise _strange(path, f"{name} is cut short, or followed by something")
        yield Entry(name, offset, size, digest.hexdigest())
    raise StoreError(f"more than {MOST_FILES} files are no bundle", where=str(path), to_do=_REFUSE)


def _named(block: bytes, path: Path) -> tuple[str, int]:
    """Name and size in a header, which must be the one that `write` gives such a file."""
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.TarError, ValueError) as error:
        raise _strange(path, "it is cut short, or no tar") from error
    if not 0 <= info.size <= LARGEST_FILE or _header(info.name, info.size) != block:
        raise _strange(path, "one of its headers is not a plain file's")
    return info.name, info.size


def _header(name: str, size: int) -> bytes | None:
    """The one header of a file; None where the format has no room for its name."""
    info = tarfile.TarInfo(name)
    info.size = size
    try:
        header = info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    except ValueError:
        return None
    return header if len(header) == _BLOCK else None


def _check_names(names: list[str], path: Path) -> None:
    """Refuse names that would leave the folder they are unpacked into, mean another file there, or cannot be files."""
    for name in names:
        parts = PurePosixPath(name).parts
        plain = bool(parts) and name == "/".join(parts) and not name.startswith("/") and ".." not in parts
        if not plain or not name.isprintable() or any(sign in name for sign in '\\:*?"<>|') or name != name.rstrip(" ."):
            raise StoreError(f"{name[:100]!r} is no name for a file in a bundle", where=str(path), to_do=_REFUSE)
    folded = Counter(name.casefold() for name in names)  # as macOS and Windows compare them
    folders = {str(folder) for name in folded for folder in PurePosixPath(name).parents}
    twice = sorted(name for name in names if folded[name.casefold()] > 1 or name.casefold() in folders)
    if twice:
        raise StoreError(f"two files of the bundle have the name {twice[0][:100]!r}", where=str(path), to_do=_REFUSE)


def _chunks(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := stream.read(min(size, _CHUNK))):
        size -= len(chunk)
        yield chunk


def _strange(path: Path, why: str) -> StoreError:
    return StoreError(f"this is no bundle as edgewright writes them: {why}", where=str(path), to_do=_REFUSE)
