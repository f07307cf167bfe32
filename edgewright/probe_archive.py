# SPDX-License-Identifier: Apache-2.0
"""probe.pyz: the probe in one file (zipapp, PEP 441), for devices that have Python, numpy and the runtime's own module alone.

It holds `edgewright.onboard`, `edgewright.errors` and the modules that the runtime names in `onboard`, and shadows an
edgewright that may be installed on the device.
"""

import importlib.util
import tempfile
import zipapp
from functools import cache
from pathlib import Path

from edgewright import onboard
from edgewright.errors import ConfigError
from edgewright.plugins import find, working_folder_on_path
from edgewright.runtime import Onboard

_MAIN = "import sys\nfrom edgewright.onboard.__main__ import main\nsys.exit(main())\n"


def onboard_of(runtime: str) -> tuple[Onboard, tuple[str, ...]]:
    """Return what a runtime packs into the probe, and the modules that it needs on the device.

    Raises:
        ConfigError: there is no such runtime, or it runs only where edgewright is installed.
    """
    plugin = find("runtimes", runtime)
    if plugin.onboard is None:
        emulated = plugin.output_evidence == "emulated"  # one machine imitates the target as well as another
        other = "its outputs are emulated there too" if emulated else "or give its class `onboard` (docs/how-to/devices.md)"
        raise ConfigError(
            f"runtime {runtime!r} runs only where edgewright is installed, not on another machine",
            where="targets[].device",
            to_do=f"take device: local; {other}",
        )
    return plugin.onboard, plugin.onboard.needs or plugin.runs_with or plugin.requires


def write_probe(pack: Onboard, out: Path) -> None:
    """Write the probe of a runtime.

    Raises:
        ConfigError: a module that the runtime names is not there.
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-pack-") as name:
        _fill(Path(name), pack)
        zipapp.create_archive(name, out, compressed=True)


def probe_folder(pack: Onboard) -> Path:
    """Return the probe of a runtime as a folder that Python runs, kept until this process ends: it is compiled once.

    Raises:
        ConfigError: a module that the runtime names is not there.
    """
    return Path(_kept(pack).name)


@cache
def _kept(pack: Onboard) -> "tempfile.TemporaryDirectory[str]":
    folder = tempfile.TemporaryDirectory(prefix="edgewright-pack-")
    _fill(Path(folder.name), pack)
    return folder


def _fill(folder: Path, pack: Onboard) -> None:
    own = [f"edgewright.onboard.{file.stem}" for file in sorted(Path(onboard.__path__[0]).glob("[!_]*.py"))]
    for module in ("edgewright.errors", "edgewright.onboard.__main__", *own, *pack.modules):
        _add(module, folder)
    (folder / "__main__.py").write_text(_MAIN, encoding="utf-8")


def _add(module: str, folder: Path) -> None:
    """Copy a module's source, below packages that are empty: what theirs import is not on a device."""
    with working_folder_on_path():
        try:
            spec = importlib.util.find_spec(module)
        except ImportError:
            spec = None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise ConfigError(f"there is no source of module {module!r}", where="onboard", to_do="name modules written in Python")
    place = folder.joinpath(*module.split(".")).with_suffix(".py")
    place.parent.mkdir(parents=True, exist_ok=True)
    for package in place.relative_to(folder).parents[:-1]:
        (folder / package / "__init__.py").touch()
    place.write_bytes(Path(spec.origin).read_bytes())
