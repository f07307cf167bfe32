# SPDX-License-Identifier: Apache-2.0
"""Files on a device that may lose power at any moment: each is there whole, or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write(path: Path, content: bytes) -> None:
    """Write a file beside its place, force it to the disk and move it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.new")
    with staged.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    staged.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: Path) -> Any:
    """What a file of ours holds; None where there is none. One that cannot be read is set aside as <name>.broken.

    A device must not stop because a disk has lost what was counted since the last report.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        path.replace(path.with_name(f"{path.name}.broken"))
        return None
