# SPDX-License-Identifier: Apache-2.0
"""Debian packages of another architecture, fetched by apt and unpacked into a folder: no root, no chroot, no binfmt.

apt keeps its state in a folder of ours and has nothing of the host's but its settings (a proxy, say). It checks signatures and
sums, and works out dependencies.
"""

import shutil
import subprocess
from pathlib import Path

from edgewright.errors import DeviceError, ToolkitMissing
from edgewright.progress import stage

SYSTEM, SUITE, PYTHON = "Debian 12 (bookworm)", "bookworm", "3.11"
GLIBC = 36
"""Minor version of its glibc, 2.36: it runs wheels for that and older ones."""
PACKAGES = ("python3.11-minimal", "libpython3.11-stdlib", "libstdc++6", "libgomp1")
_MIRROR = "http://deb.debian.org/debian"  # signed, so that plain http does
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_LAST_LINES = 6


def unpack(architecture: str, out: Path, scratch: Path) -> None:
    """Fetch `PACKAGES` with all they depend on, and unpack them into ``out``.

    Args:
        architecture: Debian's name of it, such as 'arm64'.
        out: empty folder.
        scratch: empty folder for what is fetched.

    Raises:
        ToolkitMissing: apt, dpkg or Debian's keyring is not installed.
        DeviceError: the packages could not be fetched or unpacked.
    """
    _require()
    settings = _settings(architecture, scratch)
    with stage(f"Fetching Debian's lists of {architecture} packages"):
        _run(["apt-get", "update", "-qq", *settings])
    with stage(f"Fetching Python {PYTHON} for {architecture} from Debian"):
        _run(["apt-get", "install", "-qq", "--yes", "--download-only", "--no-install-recommends", *settings, *PACKAGES])
    fetched = sorted((scratch / "archives").glob("*.deb"))
    with stage("Unpacking it", len(fetched)) as advance:
        for package in fetched:
            _run(["dpkg-deb", "--extract", str(package), str(out)])
            advance()


def _require() -> None:
    lacking = [command for command in ("apt-get", "dpkg-deb") if shutil.which(command) is None]
    if lacking:
        raise ToolkitMissing(
            f"the root is made of Debian packages, and {' and '.join(lacking)} is not installed",
            to_do="prepare it on Debian or Ubuntu, in a container for example, and copy the folder ~/.cache/edgewright",
        )
    if not _KEYRING.is_file():
        raise ToolkitMissing(
            f"Debian's keys are not installed: {_KEYRING}",
            to_do="apt-get install -y --no-install-recommends debian-archive-keyring",
        )


def _settings(architecture: str, scratch: Path) -> list[str]:
    """Options, which count more than any file of the host's."""
    for name in ("lists/partial", "archives/partial"):
        (scratch / name).mkdir(parents=True)
    (scratch / "status").touch()
    source = f"deb [signed-by={_KEYRING}] {_MIRROR} {SUITE} main\n"
    (scratch / "sources.list").write_text(source, encoding="utf-8")
    given = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "",  # a folder of one's own is not readable for apt's own user
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Dir::Cache": str(scratch),
        "Dir::Cache::archives": str(scratch / "archives"),
        "Dir::Etc::SourceList": str(scratch / "sources.list"),
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": str(scratch),
        "Dir::State::lists": str(scratch / "lists"),
        "Dir::State::status": str(scratch / "status"),
    }
    return [word for key, value in given.items() for word in ("-o", f"{key}={value}")]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n    ".join((done.stderr or done.stdout).strip().splitlines()[-_LAST_LINES:])
        raise DeviceError(
            f"{command[0]} {command[1]} ended with exit code {done.returncode}",
            where=said,
            to_do="check the network and the room in the cache folder, then run again",
        )
