# SPDX-License-Identifier: Apache-2.0
"""TVM: compiles PyTorch models to shared libraries for x86-64 and 64-bit Arm, and executes those of this machine.

Float models alone: TVM computes quantized graphs in float, slower than the float graph. Toolkits are imported when needed.
"""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgewright.artifact import TensorSpec
from edgewright.config.base import Config
from edgewright.errors import ExportError
from edgewright.integrations.runtimes.tvm.machines import MACHINES, Machine
from edgewright.integrations.runtimes.tvm.session import TvmSession, describe, open_session
from edgewright.runtime import Array, FilePass, Onboard, Runtime, Signature, refusals


class TVM(Runtime):
    """Executes libraries that TVM has compiled."""

    name: ClassVar[str] = "tvm"
    format: ClassVar[str] = "tvm"
    suffix: ClassVar[str] = ".so"
    companions: ClassVar[tuple[str, ...]] = (".json",)
    requires: ClassVar[tuple[str, ...]] = ("torch", "tvm")
    runs_with: ClassVar[tuple[str, ...]] = ("tvm",)
    onboard: ClassVar[Onboard] = Onboard((open_session.__module__,), "pip install apache-tvm")
    install: ClassVar[str] = "pip install 'edgewright[torch,tvm]'"

    class Options(Config):
        """Options in `targets[].options`."""

        machine: Machine | None = None
        """What the library is compiled for; left out, this machine. Another one needs a cross compiler."""

    @property
    def passes(self) -> Mapping[type[Any], FilePass]:
        """None."""
        return {}

    def export(self, model: Any, example: Array, out: Path, options: Config) -> None:
        """Compile the model with a batch of one; what the library takes and answers is written beside it.

        Raises:
            ExportError: torch or TVM refused the model; the operator is named where it is known.
            ToolkitMissing: there is no compiler that links for the machine.
        """
        from edgewright.integrations.runtimes.tvm.build import build

        build(model, example, out, _machine(options))

    def why_not_here(self, options: Config) -> str:
        """Say of libraries for other machines that this one does not execute them."""
        machine = _machine(options)
        if machine == platform.machine():
            return ""
        return f"TVM compiles for {machine}, and this machine is {platform.machine()}: what the library answers is unknown here"

    def inspect(self, file: Path) -> Signature:
        """Read what stands beside the library, and make sure that it is of this very one; nothing of it is executed.

        Raises:
            ExportError: the library is damaged, or its description is missing or another one's.
        """
        described = describe(file)
        with refusals("not a readable description of a TVM library", file.with_suffix(".json"), "export it again"):
            inputs, outputs = (tuple(map(TensorSpec.model_validate, described[key])) for key in ("inputs", "outputs"))
        return Signature(inputs, outputs)

    def load(self, file: Path, threads: int) -> TvmSession:
        """Load a library once, with ``threads`` threads for the whole process.

        Raises:
            ExportError: the library is damaged, or TVM refuses it.
            DeviceError: it is for another machine.
        """
        return open_session(file, threads)


def _machine(options: Config) -> Machine:
    asked: Machine | None = options.machine  # type: ignore[attr-defined]
    machine = asked or platform.machine()
    if machine not in MACHINES:
        raise ExportError(
            f"TVM libraries are for {' and '.join(MACHINES)}, and this machine is {machine}",
            to_do="say what to compile for: options.machine",
        )
    return machine
