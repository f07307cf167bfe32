# SPDX-License-Identifier: Apache-2.0
"""What a .pte file takes and answers."""

from pathlib import Path
from typing import Any

from edgewright.artifact import TensorSpec
from edgewright.integrations.runtimes.executorch import payload, program
from edgewright.runtime import Signature, refusals

_LAYOUTS = {4: "NCHW", 3: "NCL", 2: "NF"}
_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "CHAR": "int8",
    "BYTE": "uint8",
    "SHORT": "int16",
    "INT": "int32",
    "LONG": "int64",
}


def inspect(file: Path) -> Signature:
    """Read what a .pte file declares.

    Raises:
        ExportError: it is not a whole .pte file, or takes what is no tensor.
    """
    read = program.read(file)
    plan = program.plan_of(read)
    inputs = [_spec(plan, place, f"input{number or ''}", file) for number, place in enumerate(plan.inputs)]
    with refusals("XNNPACK's part of the .pte file cannot be read", file, "export it again"):
        steps = [payload.step(read, plan, place) for place in plan.outputs]
    outputs = [
        _spec(plan, place, f"output{number or ''}", file).model_copy(update={"lsb": step})
        for number, (place, step) in enumerate(zip(plan.outputs, steps, strict=True))
    ]
    laid_out = [spec.model_copy(update={"layout": _LAYOUTS.get(len(spec.shape), "")}) for spec in inputs]
    return Signature(inputs=tuple(laid_out), outputs=tuple(outputs))


def _spec(plan: Any, place: int, name: str, file: Path) -> TensorSpec:
    value = plan.values[place].val
    with refusals(f"{name} is of a type that is not supported", file, "give the model float inputs and outputs"):
        dynamic = value.shape_dynamism.name != "STATIC"
        shape = [-1 if dynamic and not axis else size for axis, size in enumerate(value.sizes)]
        return TensorSpec.model_validate({"name": name, "shape": shape, "dtype": _DTYPES[value.scalar_type.name]})
