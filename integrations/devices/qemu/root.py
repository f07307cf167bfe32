# SPDX-License-Identifier: Apache-2.0
"""The root in which programs of another architecture find Python and wheels, kept in the user's cache folder.

Each part is made whole beside its place and then moved there; `prepared.json`, written last, says which parts belong together.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgewright.errors import ConfigError
from edgewright.integrations.devices.qemu import debian
from edgewright.integrations.devices.qemu.processors import ARM, ArmName
from edgewright.integrations.devices.qemu.wheels import fetch, pinned
from edgewright.progress import stage

_ARCHITECTURE, _MACHINE = "arm64", "aarch64"
_CORES = ("possible", "present", "online")


class Root:
    """What `edgewright device prepare` makes for a device."""

    system = debian.SYSTEM
    python = Path("usr/bin") / f"python{debian.PYTHON}"

    def __init__(self, device: str) -> None:
        self._device = device
        self._folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgewright" / device

    @property
    def wheels(self) -> Path:
        """Folder with the runtimes' modules."""
        return self._folder / str(self._prepared()["wheels"])

    def view(self, cpu: ArmName) -> Path:
        """The root as a program on this processor sees it."""
        return self._folder / str(self._prepared()["root"]) / cpu

    def content(self) -> str:
        """Name what is in it: packages and wheels with their versions; empty where nothing is."""
        return json.dumps(self._prepared(), sort_keys=True)

    def check(self, runtime: str) -> None:
        """Make sure that a runtime is in it, in the version that is installed here.

        Raises:
            ConfigError: it has to be prepared first.
        """
        there, wanted = self._prepared().get("requirements", []), pinned(runtime)
        lacking = [one for one in wanted if one not in there]
        if there and wanted and not lacking:
            return
        what = f"it lacks {', '.join(lacking)}, as installed here" if there and lacking else f"it lacks runtime {runtime!r}"
        raise ConfigError(
            f"{self._device} is not prepared: {what if there else 'there is nothing yet'}",
            where=str(self._folder),
            to_do=f"edgewright device prepare {self._device} --runtime {runtime}",
        )

    def prepare(self, runtimes: tuple[str, ...]) -> str:
        """Make what is not there yet; runtimes that were asked for before stay.

        Raises:
            ConfigError: a runtime is not installed here, or runs only where edgewright is installed.
            DeviceError: something could not be fetched.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            before = self._prepared()
            asked = tuple(dict.fromkeys((*before.get("runtimes", []), *runtimes)))
            requirements = _requirements(asked)
            made_of = [debian.SUITE, *debian.PACKAGES, *(f"{cpu} {one.cpuinfo}" for cpu, one in ARM.items())]
            now = {
                "runtimes": asked,
                "requirements": requirements,
                "root": self._part("root", made_of, self._make_root),
                "wheels": self._part("wheels", requirements, lambda out: fetch(requirements, _MACHINE, out)),
            }
            page = self._folder / "prepared.json.making"
            page.write_text(json.dumps(now), encoding="utf-8")
            page.replace(self._folder / "prepared.json")
            self._remove_others(str(now["root"]), str(now["wheels"]))
        return f"{self._device} is prepared, with {', '.join(requirements)}: {self._folder}"

    def _part(self, kind: str, made_of: Any, make: Callable[[Path], None]) -> str:
        """Make a part that is not there; return its name, which says what it is made of."""
        name = f"{kind}-{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]}"
        if not (self._folder / name).is_dir():
            with tempfile.TemporaryDirectory(dir=self._folder, prefix=".making-") as folder:
                made = Path(folder) / name
                made.mkdir()
                make(made)
                made.rename(self._folder / name)
        return name

    def _make_root(self, out: Path) -> None:
        files = out / "files"
        files.mkdir()
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".fetched-") as scratch:
            debian.unpack(_ARCHITECTURE, files, Path(scratch))
        for cpu, processor in ARM.items():  # a view each, so that two probes never see each other's processor
            cores = out / cpu / "sys/devices/system/cpu"
            cores.mkdir(parents=True)
            for name in _CORES:
                (cores / name).write_text("0\n", encoding="ascii")
            (out / cpu / "proc").mkdir()
            (out / cpu / "proc/cpuinfo").write_text(processor.cpuinfo, encoding="ascii")
            for inner in files.iterdir():
                (out / cpu / inner.name).symlink_to(Path("..") / "files" / inner.name)

    def _remove_others(self, *kept: str) -> None:
        """Remove what an earlier version left, and what a preparation that was cut short did."""
        for found in self._folder.iterdir():
            if found.is_dir() and found.name not in kept:
                shutil.rmtree(found, ignore_errors=True)

    def _prepared(self) -> dict[str, Any]:
        try:
            page: dict[str, Any] = json.loads((self._folder / "prepared.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return page

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with stage(f"Waiting: another process prepares {self._device}"):
                    fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _requirements(runtimes: tuple[str, ...]) -> tuple[str, ...]:
    """What pip has to bring: numpy, which the probe needs, and the runtimes' own."""
    found = list(pinned("null"))
    for runtime in runtimes:
        own = pinned(runtime)
        if not own:
            raise ConfigError(
                f"runtime {runtime!r} is not installed here, so that its version is not known",
                to_do=f"install it here too: pip install 'edgewright[{runtime.replace('_', '-')}]'",
            )
        found += own
    return tuple(dict.fromkeys(found))
