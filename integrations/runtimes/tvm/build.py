# SPDX-License-Identifier: Apache-2.0
"""From a torch model to a shared library: exported, turned into Relax, compiled by LLVM, linked. Imports torch and TVM."""

import json
import platform
import shutil
from pathlib import Path
from typing import Any

import torch

from edgewright.errors import ToolkitMissing
from edgewright.integrations.runtimes.tvm.machines import MACHINES, Machine
from edgewright.integrations.runtimes.tvm.session import MAIN
from edgewright.onboard.digest import sha256_of
from edgewright.quiet import quietly
from edgewright.runtime import Array, refusals

_LAYOUTS = {4: "NCHW", 3: "NCL", 2: "NF"}


def build(model: Any, example: Array, out: Path, machine: Machine) -> None:
    """Write the library, with its weights in it, and the description beside it.

    Raises:
        ExportError: torch or TVM refused the model.
        ToolkitMissing: there is no compiler that links for the machine.
    """
    linker = _linker(machine)
    with quietly(), refusals("TVM refused the model", out, "replace the operator, or take a runtime that has it"):
        import tvm
        from tvm import relax
        from tvm.relax.frontend.torch import from_exported_program
        from tvm.support import cc

        exported = torch.export.export(model, (torch.from_numpy(example),))
        lowered = relax.get_pipeline("zero")(from_exported_program(exported, keep_params_as_input=False))
        built = tvm.compile(lowered, target=tvm.target.Target(MACHINES[machine].target))
        built.export_library(str(out), fcompile=cc.cross_compiler(linker))
        with torch.no_grad():
            answer = model(torch.from_numpy(example))
    described = {
        "function": MAIN,
        "inputs": [_tensor("input", example.shape, _LAYOUTS.get(example.ndim, ""))],
        "outputs": [_tensor("output", answer.shape)],
        "machine": machine,
        "sha256": sha256_of(out),
    }
    out.with_suffix(".json").write_text(json.dumps(described, indent=1), encoding="utf-8")


def _linker(machine: Machine) -> str:
    native = machine == platform.machine()
    command, package = ("g++", "g++") if native else (MACHINES[machine].linker, MACHINES[machine].package)
    if shutil.which(command) is None:
        raise ToolkitMissing(
            f"TVM links for {machine} with {command}, which is not installed",
            to_do=f"apt-get install -y --no-install-recommends {package}",
        )
    return command


def _tensor(name: str, shape: Any, layout: str = "") -> dict[str, Any]:
    return {"name": name, "shape": [int(axis) for axis in shape], "dtype": "float32", "layout": layout}
