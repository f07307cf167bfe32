# SPDX-License-Identifier: Apache-2.0
"""Write a file whole or not at all."""

import os
import tempfile
from pathlib import Path

from edgewright.errors import StoreError


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text; see `write_bytes`.

    Raises:
        StoreError: the folder cannot be written.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write beside ``path`` and move it into place, so that a reader never sees half a file.

    Raises:
        StoreError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        staged = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            staged.chmod(0o644)
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"{path.name} cannot be written: {error.strerror or error}", where=str(path), to_do="make the folder writable"
        ) from error
