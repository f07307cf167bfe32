# SPDX-License-Identifier: Apache-2.0
"""This machine, each probe in a fresh process. The machine is leased: two probes on it never overlap."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, ClassVar

from numpy.typing import NDArray
from pydantic import Field

from edgewright.artifact import ArtifactManifest
from edgewright.config.base import Config
from edgewright.device import Device, ProbeFacts, ProbePlan
from edgewright.errors import EdgewrightError
from edgewright.measure import DeviceFacts, Evidence
from edgewright.onboard.machine import machine
from edgewright.onboard.probe import as_device_error
from edgewright.plugins import find
from edgewright.probe import new_request, probe_here
from edgewright.probe_archive import onboard_of, probe_folder


class LocalDevice(Device):
    """The machine edgewright runs on."""

    name: ClassVar[str] = "local"
    evidence: ClassVar[Evidence] = "measured"
    on_this_machine: ClassVar[bool] = True

    class Options(Config):
        """Options in `targets[].device_options`."""

        timeout: Annotated[float, Field(gt=0)] = 600
        """Seconds one probe may take, loading the runtime included, before it is stopped."""

    def facts(self, threads: int, options: Config) -> DeviceFacts:  # noqa: ARG002 - the port's signature
        """Describe this machine."""
        return DeviceFacts(name="local", kind=self.name, threads=threads, **machine())

    def probe(
        self, file: Path, manifest: ArtifactManifest, inputs: NDArray[Any], plan: ProbePlan, options: Config
    ) -> tuple[ProbeFacts, NDArray[Any] | None]:
        """Run the plan in a fresh process, once no other probe runs on this machine.

        Raises:
            DeviceError: there is no such runtime, or the process reported an error, crashed, or took longer than the timeout.
        """
        assert isinstance(options, self.Options)  # noqa: S101 - narrows the type: a device gets its own options
        try:
            command, onboard = _probe_of(plan.runtime)
        except EdgewrightError as error:
            raise as_device_error(error) from error
        request = new_request(str(file.resolve()), manifest, plan, **onboard)
        return probe_here(request, inputs, [sys.executable, *command], os.environ, options.timeout + plan.lasts_s)


def _probe_of(runtime: str) -> tuple[list[str], dict[str, Any]]:
    """Return Python's arguments and what the request adds for them.

    The packed probe of other machines imports a third of what edgewright's own does; a runtime without one needs the latter,
    and one whose hardware is not here, which other machines have.
    """
    plugin = find("runtimes", runtime)
    if plugin.onboard is None or plugin().emulated_here():
        return ["-m", "edgewright.probe"], {}
    pack, needs = onboard_of(runtime)
    return [str(probe_folder(pack)), "serve"], {"module": pack.modules[0], "needs": needs, "install": pack.install}
