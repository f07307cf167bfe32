# SPDX-License-Identifier: Apache-2.0
"""Wheels for another machine, fetched by pip, in the versions that are installed here: else two versions are compared."""

import importlib.util
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edgewright.errors import DeviceError, ToolkitMissing
from edgewright.integrations.devices.qemu.debian import GLIBC, PYTHON
from edgewright.probe_archive import onboard_of
from edgewright.progress import stage

_OLDEST_GLIBC = 17
_LAST_LINES = 6


def pinned(runtime: str) -> tuple[str, ...]:
    """Return what pip has to bring for a runtime, as 'name==version'; empty where it is not installed here.

    Raises:
        ConfigError: there is no such runtime, or it runs only where edgewright is installed.
    """
    names = onboard_of(runtime)[0].install.removeprefix("pip install ").split()
    try:
        return tuple(f"{name}=={version(name)}" for name in names)
    except PackageNotFoundError:
        return ()


def fetch(requirements: tuple[str, ...], machine: str, out: Path) -> None:
    """Fetch wheels and what they depend on into ``out``.

    Raises:
        ToolkitMissing: pip is not installed.
        DeviceError: there is no wheel of that version for that machine, or no network.
    """
    if importlib.util.find_spec("pip") is None:
        raise ToolkitMissing.of("fetching wheels", ["pip"], f"{sys.executable} -m ensurepip, or: uv pip install pip")
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC, _OLDEST_GLIBC - 1, -1)]
    platforms = [word for tag in (*tags, f"manylinux2014_{machine}") for word in ("--platform", tag)]
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile"),
        *("--only-binary", ":all:", "--python-version", PYTHON, "--implementation", "cp", "--target", str(out)),
        *platforms,
        *requirements,
    ]
    with stage(f"Fetching {', '.join(requirements)} for {machine}"):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise DeviceError(
            f"pip fetched no wheels for {machine}",
            where="\n    ".join(errors[-_LAST_LINES:]),
            to_do="check the network; a runtime without a wheel for this machine cannot run there",
        )
