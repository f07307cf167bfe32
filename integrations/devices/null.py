# SPDX-License-Identifier: Apache-2.0
"""The device that is none: the probe runs in this very process. For tests and for learning; what it times is emulated."""

import platform
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from edgewright.artifact import ArtifactManifest
from edgewright.config.base import Config
from edgewright.device import Device, ProbeFacts, ProbePlan
from edgewright.measure import DeviceFacts, Evidence
from edgewright.onboard.machine import saturates
from edgewright.onboard.probe import as_device_error
from edgewright.onboard.run import run_plan
from edgewright.probe import import_runtime


class NullDevice(Device):
    """No process and no lease; memory is unknown, since it is not the artifact's alone."""

    name: ClassVar[str] = "null"
    evidence: ClassVar[Evidence] = "emulated"
    on_this_machine: ClassVar[bool] = True

    def facts(self, threads: int, options: Config) -> DeviceFacts:  # noqa: ARG002 - the port's signature
        """Describe what stands in for a device."""
        return DeviceFacts(
            name="null",
            kind=self.name,
            machine=platform.machine(),
            cores=1,
            os=platform.system(),
            threads=threads,
            saturates=saturates(),
        )

    def probe(
        self,
        file: Path,
        manifest: ArtifactManifest,
        inputs: NDArray[Any],
        plan: ProbePlan,
        options: Config,  # noqa: ARG002 - the port's signature
    ) -> tuple[ProbeFacts, NDArray[Any] | None]:
        """Run the plan here.

        Raises:
            DeviceError: the runtime refused the file or failed on it.
        """
        try:
            runtime = import_runtime(plan.runtime)
            facts, outputs = run_plan(lambda: runtime.load(file, plan.threads), manifest, inputs, plan, own_process=False)
        except Exception as error:
            raise as_device_error(error) from error
        return ProbeFacts.model_validate(facts), outputs
