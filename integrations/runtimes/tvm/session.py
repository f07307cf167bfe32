# SPDX-License-Identifier: Apache-2.0
"""A loaded library. It is machine code: nothing of it is executed, or even mapped, before its digest is the described one's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgewright.errors import ExportError
from edgewright.onboard.digest import sha256_of
from edgewright.onboard.machine import check_machine
from edgewright.onboard.preprocess import Array
from edgewright.onboard.refusals import refusals

MAIN = "main"
_ALL_CORES = 1  # of runtime.config_threadpool: prefer the fast ones


class TvmSession:
    """A loaded library."""

    def __init__(self, function: Any, tensor: Any) -> None:
        self._function, self._tensor = function, tensor

    def run(self, sample: Array) -> Array:
        """Run one sample (1, …)."""
        output: Array = self._function(self._tensor(sample))[0].numpy()
        return output

    def arena_bytes(self) -> int | None:
        """Unknown: TVM's pool grows as it runs."""
        return None


def describe(file: Path) -> dict[str, Any]:
    """Read what a library takes and answers, from the description beside it.

    Raises:
        ExportError: the library is damaged, or its description is missing or another one's.
    """
    beside = file.with_suffix(".json")
    with refusals("not a readable TVM library with its description", file, "export it again, and keep both files together"):
        described: dict[str, Any] = json.loads(beside.read_bytes())
        if described["sha256"] != sha256_of(file):
            raise ExportError(
                f"{beside.name} describes another library, or {file.name} is damaged",
                where=str(file),
                to_do="export it again, and keep both files together",
            )
    return described


def open_session(file: Path, threads: int) -> TvmSession:
    """Load a library once.

    Raises:
        ExportError: the library is damaged, or TVM refuses it.
        DeviceError: it is for another machine.
    """
    described = describe(file)
    check_machine(file)
    with refusals("TVM does not load the library", file):
        import tvm
        from tvm.runtime.vm import VirtualMachine

        tvm.get_global_func("runtime.config_threadpool")(_ALL_CORES, threads)
        machine = VirtualMachine(tvm.runtime.load_module(str(file.resolve())), tvm.cpu())
        return TvmSession(machine[described["function"]], tvm.runtime.tensor)
