# SPDX-License-Identifier: Apache-2.0
"""Processors that are not here, emulated by QEMU in user mode: what a file answers on them, and nothing of its speed.

Outputs are the very ones of that processor's instructions. A probe takes 10 to 50 times as long as on a real one, by how
much says nothing: latency and memory stay unknown.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from numpy.typing import NDArray
from pydantic import Field

from edgewright.artifact import ArtifactManifest
from edgewright.config.base import Config
from edgewright.device import Device, ProbeFacts, ProbePlan
from edgewright.errors import ConfigError, EdgewrightError
from edgewright.integrations.devices.qemu.processors import ARM, X86, X86_NAME, ArmName
from edgewright.integrations.devices.qemu.root import Root
from edgewright.integrations.devices.qemu.wheels import pinned
from edgewright.measure import DeviceFacts, Evidence
from edgewright.onboard.machine import machine
from edgewright.onboard.probe import as_device_error
from edgewright.plugins import find
from edgewright.probe import new_request, probe_here
from edgewright.probe_archive import onboard_of, write_probe

_SECONDS = 1200
_USUAL = ("onnxruntime", "litert")


class QemuDevice(Device):
    """A processor that QEMU emulates, on this machine."""

    evidence: ClassVar[Evidence] = "emulated"
    timed: ClassVar[bool] = False

    class Options(Config):
        """Options in `targets[].device_options`."""

        timeout: Annotated[float, Field(gt=0)] = _SECONDS
        """Seconds one probe may take, loading the runtime included, before it is stopped."""

    def check(self, runtime: str, options: Config) -> None:  # noqa: ARG002 - the port's signature
        """Refuse runtimes that run only where edgewright is installed, or on more than a processor.

        Raises:
            ConfigError: this is one.
        """
        onboard_of(runtime)
        hardware = find("runtimes", runtime).hardware
        if hardware:
            raise ConfigError(
                f"runtime {runtime!r} runs on {hardware}, and {self.name} emulates a processor alone",
                where="targets[].device",
                to_do="take device: ssh, or device: local, where its files are emulated without it",
            )

    def state(self, options: Config) -> str:  # noqa: ARG002 - the port's signature
        """Digest the emulator's version: another one may answer otherwise."""
        return hashlib.sha256(self._version().encode()).hexdigest()

    def probe(
        self, file: Path, manifest: ArtifactManifest, inputs: NDArray[Any], plan: ProbePlan, options: Config
    ) -> tuple[ProbeFacts, NDArray[Any] | None]:
        """Run the plan in a fresh process of the emulated processor, once no other probe runs on this machine.

        Raises:
            DeviceError: something is missing there, or the process reported an error, crashed, or took too long.
        """
        assert isinstance(options, self.Options)  # noqa: S101 - narrows the type: a device gets its own options
        try:
            self.check(plan.runtime, options)
        except EdgewrightError as error:
            raise as_device_error(error) from error
        pack, needs = onboard_of(plan.runtime)
        request = new_request(str(file.resolve()), manifest, plan, module=pack.modules[0], needs=needs, install=pack.install)
        with tempfile.TemporaryDirectory(prefix="edgewright-qemu-") as name:
            archive = Path(name) / "probe.pyz"
            write_probe(pack, archive)
            command = [self._emulator(), *self._python(options), str(archive), "serve"]
            return probe_here(request, inputs, command, self._environment(options), options.timeout + plan.lasts_s)

    @abstractmethod
    def _python(self, options: Config) -> Sequence[str]:
        """What follows QEMU's name: the processor, and the Python that runs on it."""

    @abstractmethod
    def _environment(self, options: Config) -> Mapping[str, str]:
        """Variables of the process."""

    def _emulator(self) -> str:
        return next(found for name in self.commands if (found := shutil.which(name)))

    def _version(self) -> str:
        printed = subprocess.run([self._emulator(), "--version"], capture_output=True, text=True, check=False).stdout
        return printed.partition("version ")[2].partition(" ")[0].strip() or "of an unknown version"


class QemuAarch64(QemuDevice):
    """A 64-bit Arm processor, in a root of Debian packages and wheels that `edgewright device prepare` makes."""

    name: ClassVar[str] = "qemu-aarch64"
    commands: ClassVar[tuple[str, ...]] = ("qemu-aarch64-static", "qemu-aarch64")
    install: ClassVar[str] = "apt-get install -y --no-install-recommends qemu-user-static"

    class Options(QemuDevice.Options):
        """Options in `targets[].device_options`."""

        cpu: ArmName = "cortex-a72"
        """The processor."""

    def check(self, runtime: str, options: Config) -> None:
        """Refuse runtimes that are not in the root, and those that run only where edgewright is installed.

        Raises:
            ConfigError: this is one; or the root has to be prepared first.
        """
        super().check(runtime, options)
        self._root().check(runtime)

    def prepare(self, runtimes: tuple[str, ...]) -> str:
        """Make the root, with the runtimes that are installed here and usual on Arm, and those that are named.

        Raises:
            ConfigError: a runtime runs only where edgewright is installed.
            DeviceError: Debian's packages or wheels could not be fetched.
        """
        usual = tuple(name for name in _USUAL if pinned(name))
        return self._root().prepare(tuple(dict.fromkeys((*usual, *runtimes))))

    def state(self, options: Config) -> str:  # noqa: ARG002 - the port's signature
        """Digest the emulator's version and what is in the root."""
        return hashlib.sha256(f"{self._version()} {self._root().content()}".encode()).hexdigest()

    def facts(self, threads: int, options: Config) -> DeviceFacts:
        """Describe the processor."""
        assert isinstance(options, self.Options)  # noqa: S101 - narrows the type: a device gets its own options
        what = f"{ARM[options.cpu].title} (aarch64), emulated by QEMU {self._version()}"
        return DeviceFacts(name=self.name, kind=self.name, machine=what, cores=1, os=Root.system, threads=threads)

    def _root(self) -> Root:
        return Root(self.name)

    def _python(self, options: Config) -> Sequence[str]:
        assert isinstance(options, self.Options)  # noqa: S101 - narrows the type: a device gets its own options
        view = self._root().view(options.cpu)
        return ["-cpu", options.cpu, "-L", str(view), str(view / Root.python)]

    def _environment(self, options: Config) -> Mapping[str, str]:  # noqa: ARG002 - nothing of the host's leads into the root
        return {"PYTHONPATH": str(self._root().wheels), "TMPDIR": tempfile.gettempdir(), "LC_ALL": "C.UTF-8"}


class QemuX86(QemuDevice):
    """An x86-64 processor with AVX2 and without VNNI, in this machine's own Python environment.

    Sums of products of unsigned and signed 8-bit numbers saturate on it, as on most x86 processors sold before 2021.
    """

    name: ClassVar[str] = "qemu-x86_64"
    commands: ClassVar[tuple[str, ...]] = ("qemu-x86_64-static", "qemu-x86_64")
    install: ClassVar[str] = QemuAarch64.install

    def check(self, runtime: str, options: Config) -> None:
        """Refuse other machines than x86-64, and runtimes that run only where edgewright is installed.

        Raises:
            ConfigError: this is one.
        """
        super().check(runtime, options)
        if platform.machine().lower() not in ("x86_64", "amd64"):
            raise ConfigError(
                f"{self.name} runs what is installed on this machine, and this machine is {platform.machine()}",
                where="targets[].device",
                to_do="run the release on an x86-64 machine, or name a real device",
            )

    def facts(self, threads: int, options: Config) -> DeviceFacts:  # noqa: ARG002 - the port's signature
        """Describe the processor."""
        what = f"{X86_NAME} (x86_64), emulated by QEMU {self._version()}"
        told = machine() | {"machine": what, "cores": 1, "governor": None, "frequency_mhz": None, "saturates": True}
        return DeviceFacts(name=self.name, kind=self.name, threads=threads, **told)

    def _python(self, options: Config) -> Sequence[str]:  # noqa: ARG002 - the port's signature
        return ["-cpu", X86, sys.executable]

    def _environment(self, options: Config) -> Mapping[str, str]:  # noqa: ARG002 - the port's signature
        return os.environ
