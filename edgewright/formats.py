# SPDX-License-Identifier: Apache-2.0
"""Which runtime runs a file that nobody named one for: the one that writes files of its format."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgewright.errors import ConfigError, EdgewrightError
from edgewright.plugins import create, find, names


def runtime_of_format(name: str) -> str:
    """Return the runtime that writes files of a format, such as 'onnx'.

    Raises:
        ConfigError: none of the installed runtimes does.
    """
    found = next((runtime for runtime, plugin in _writers() if plugin.format == name), None)
    if found is None:
        raise ConfigError(f"no runtime writes files of the format {name!r}", to_do="see: edgewright runtimes")
    return found


def runtime_of_file(file: Path, preferred: str) -> str:
    """Return the runtime for a file by its suffix: ``preferred`` where that takes it, else the one that writes such files.

    Raises:
        ConfigError: none of the installed runtimes takes such files, or there is no runtime of the preferred name.
        ToolkitMissing: the preferred one's toolkits are not installed.
    """
    suffixes = {runtime: plugin.suffix for runtime, plugin in _writers()}
    if create("runtimes", preferred).suffix == file.suffix:
        return preferred
    found = next((runtime for runtime, suffix in suffixes.items() if suffix == file.suffix), None)
    if found is None:
        known = ", ".join(sorted(set(suffixes.values())))
        raise ConfigError(
            f"no runtime takes files of type {file.suffix or '(none)'!r}", where=str(file), to_do=f"known: {known}"
        )
    return found


def _writers() -> Iterator[tuple[str, type[Any]]]:
    """All installed runtimes that write their files themselves; one that does not import is as good as none."""
    for name in names("runtimes"):
        try:
            plugin = find("runtimes", name)
        except EdgewrightError:
            continue
        if plugin.exports_with is None:
            yield name, plugin
