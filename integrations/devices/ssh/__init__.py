# SPDX-License-Identifier: Apache-2.0
"""Any Linux machine with Python 3.9, numpy and the runtime's module, over SSH: keys, agent, known hosts alone.

Each run has a folder of its own there, into which probe, artifact and samples are sent; what arrived is checked by its
sha256 before it runs, a broken link is taken up again, and the folder is removed.
"""

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from edgewright.artifact import ArtifactManifest
from edgewright.config.base import Config
from edgewright.device import Device, ProbeFacts, ProbePlan
from edgewright.errors import EdgewrightError
from edgewright.integrations.devices.ssh.options import SshOptions
from edgewright.measure import DeviceFacts, Evidence
from edgewright.onboard.probe import INPUTS, REQUEST, as_device_error
from edgewright.plugins import find
from edgewright.probe import lay_out, new_request, read_answer
from edgewright.probe_archive import onboard_of, write_probe

if TYPE_CHECKING:
    from edgewright.integrations.devices.ssh.visit import Visit


class SshDevice(Device):
    """A machine that is reached over SSH."""

    name: ClassVar[str] = "ssh"
    evidence: ClassVar[Evidence] = "measured"
    requires: ClassVar[tuple[str, ...]] = ("paramiko",)
    install: ClassVar[str] = "pip install 'edgewright[ssh]'"

    class Options(SshOptions):
        """Options in `targets[].device_options`."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, Any]] = {}
        """What machines said of themselves, by address: it is asked once."""

    def check(self, runtime: str, options: Config) -> None:  # noqa: ARG002 - the port's signature
        """Refuse runtimes that run only where edgewright is installed.

        Raises:
            ConfigError: this is one.
        """
        onboard_of(runtime)

    def facts(self, threads: int, options: Config) -> DeviceFacts:
        """Describe the machine.

        Raises:
            DeviceError: it cannot be reached, or has no Python that fits.
        """
        assert isinstance(options, SshOptions)  # noqa: S101 - narrows the type: a device gets its own options
        if options.address not in self._seen:
            with tempfile.TemporaryDirectory(prefix="edgewright-ssh-") as name:
                probe = _write_probe("null", Path(name))
                with _visit(options, Path(name).name) as visit:
                    self._look(visit, probe, options)
        return DeviceFacts(name=options.host, kind=self.name, threads=threads, **self._seen[options.address])

    def probe(
        self, file: Path, manifest: ArtifactManifest, inputs: NDArray[Any], plan: ProbePlan, options: Config
    ) -> tuple[ProbeFacts, NDArray[Any] | None]:
        """Run the plan on the machine, once no other probe runs on it.

        Raises:
            DeviceError: it cannot be reached, lacks something, or the process reported an error, crashed or took too long.
        """
        assert isinstance(options, SshOptions)  # noqa: S101 - narrows the type: a device gets its own options
        try:
            pack, needs = onboard_of(plan.runtime)
        except EdgewrightError as error:
            raise as_device_error(error) from error
        request = new_request(file.name, manifest, plan, module=pack.modules[0], needs=needs, install=pack.install)
        with tempfile.TemporaryDirectory(prefix="edgewright-ssh-") as name:
            folder = Path(name)
            lay_out(request, inputs, folder)
            probe = _write_probe(plan.runtime, folder)
            patient = options.model_copy(update={"timeout": options.timeout + plan.lasts_s})
            with _visit(patient, f"edgewright-{request.nonce}") as visit:
                free = self._look(visit, probe, options)
                sent = {REQUEST: folder / REQUEST, INPUTS: folder / INPUTS, **_files_of(plan.runtime, file)}
                visit.send(sent, free, _answer_bytes(manifest, inputs, plan))
                visit.run(plan.threads, f"probe of {file.name} in {plan.runtime}")
                visit.fetch(folder)
            return read_answer(folder, request)

    def _look(self, visit: "Visit", probe: Path, options: SshOptions) -> int:
        """Keep what the machine says of itself; return the bytes that are free."""
        seen = visit.look(probe)
        self._seen[options.address] = seen["facts"]
        return int(seen["free_bytes"])


def _visit(options: SshOptions, name: str) -> "Visit":
    from edgewright.integrations.devices.ssh.link import Link  # here, where paramiko is known to be installed
    from edgewright.integrations.devices.ssh.visit import Visit

    return Visit(Link(options), name)


def _write_probe(runtime: str, folder: Path) -> Path:
    probe = folder / "probe.pyz"
    write_probe(onboard_of(runtime)[0], probe)
    return probe


def _files_of(runtime: str, main: Path) -> dict[str, Path]:
    """All files of an artifact, by the name they have beside its main file: companions, and what is in a folder."""
    whole = [file for part in find("runtimes", runtime).files(main) for file in ([part] if part.is_file() else part.rglob("*"))]
    return {file.relative_to(main.parent).as_posix(): file for file in sorted(whole) if file.is_file()}


def _answer_bytes(manifest: ArtifactManifest, inputs: NDArray[Any], plan: ProbePlan) -> int:
    """Room for float32 outputs, where they are asked for, and for timings."""
    outputs = 4 * len(inputs) * math.prod(abs(axis) for axis in manifest.outputs[0].shape[1:]) if plan.outputs else 0
    return outputs + 32 * plan.invocations
