# SPDX-License-Identifier: Apache-2.0
"""Energy counters of Intel's and AMD's processors (RAPL), as Linux shows them below /sys/class/powercap.

Source: Documentation/power/powercap/powercap.rst of the Linux kernel: energy_uj counts microjoules, and starts again at 0
after max_energy_range_uj. Since Linux 5.10 only root may read it (CVE-2020-8694).
"""

from __future__ import annotations

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class Package:
    """One processor package with all that is in it."""

    def __init__(self, folder: Path) -> None:
        self._counter = folder / "energy_uj"
        self._range = int((folder / "max_energy_range_uj").read_text(encoding="ascii"))

    def read(self) -> int:
        """Microjoules counted so far."""
        return int(self._counter.read_text(encoding="ascii"))

    def used(self, since: int) -> int:
        """Microjoules since it was read; it may have started again once."""
        return (self.read() - since) % (self._range + 1)


def find(root: Path = POWERCAP) -> tuple[list[Package], str]:
    """Return all packages that can be read; and why none can, in words, where that is so."""
    folders = [folder for folder in sorted(root.glob("intel-rapl:*")) if folder.name.count(":") == 1]
    if not folders:
        return [], f"this machine shows no energy counters (RAPL, {root}); name the CSV file of a meter in 'energy'"
    try:
        packages = [Package(folder) for folder in folders if _is_package(folder)]
        for package in packages:
            package.read()
    except PermissionError:
        return [], f"only root may read the energy counters ({root}/intel-rapl*): run as root, or let your user read them"
    except (OSError, ValueError) as error:
        return [], f"the energy counters cannot be read: {error}"
    return packages, "" if packages else f"{root} shows no counter of a whole package"


def _is_package(folder: Path) -> bool:
    return (folder / "name").read_text(encoding="ascii").startswith("package")
