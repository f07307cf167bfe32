# SPDX-License-Identifier: Apache-2.0
"""Digests of files: what was sent is what arrived."""

from __future__ import annotations

import hashlib
from pathlib import Path

_BLOCK = 2**20


def sha256_of(file: Path) -> str:
    """Return the sha256 (hex) of a file's content."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for block in iter(lambda: stream.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()
