# SPDX-License-Identifier: Apache-2.0
"""A Python as devices have it: what is named, and neither edgewright nor anything it needs."""

import importlib.util
import sys
from pathlib import Path


def bare_python(folder: Path, *modules: str) -> Path:
    """Write a command `python` into ``folder`` that sees the named top-level modules alone, and has the folder for /tmp."""
    links = folder / "packages"
    links.mkdir(parents=True)
    for module in modules:
        spec = importlib.util.find_spec(module)
        assert spec is not None, module
        place = Path(next(iter(spec.submodule_search_locations or []), spec.origin or ""))
        for found in (place, place.with_name(f"{place.name}.libs")):
            if found.exists():
                (links / found.name).symlink_to(found)
    command = folder / "python"
    command.write_text(f'#!/bin/sh\nTMPDIR={folder} PYTHONPATH={links} exec {sys.executable} -S "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return command
