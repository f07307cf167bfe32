# SPDX-License-Identifier: Apache-2.0
"""What is quantized in an ML program: layers between dequantize and quantize, and the step of an output."""

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.coreml.program import Program

LAYERS = ("conv", "conv_transpose", "linear")
"""Operators with a weight."""
#: operators behind which the steps of a tensor are still the steps it was stored in
_MOVES = ("cast", "reshape", "squeeze", "expand_dims", "transpose", "identity")
_CLAMPS = ("relu", "relu6", "clip")


def output_step(program: Program, output: str) -> float | None:
    """Scale of the dequantize that makes a float output; None where none does, or each channel has its own."""
    makers = {tensor.name: operator for operator in program.operators for tensor in operator.outputs}
    maker = makers.get(output)
    while maker is not None and maker.kind in _MOVES:
        maker = makers.get(maker.live["x"][0])
    if maker is None or maker.kind != "dequantize":
        return None
    scale = maker.parameters["scale"]
    return float(scale) if scale.ndim == 0 else None


def must_be_integer(program: Program, to_do: str) -> None:
    """Make sure that each layer with weights takes and gives quantized values.

    Raises:
        ExportError: one is left in float; it is named.
    """
    makers = {tensor.name: operator for operator in program.operators for tensor in operator.outputs}
    for operator in program.operators:
        if operator.kind not in LAYERS:
            continue
        source = makers.get(operator.live["x"][0])
        if source is None or source.kind != "dequantize" or not _is_quantized(operator.outputs[0].name, program):
            raise ExportError(
                f"{operator.kind} is left in float in a file of integers",
                where=f"{program.file}: layer {operator.layer!r}",
                to_do=to_do,
            )


def _is_quantized(name: str, program: Program) -> bool:
    """Whether all that a value goes into is a quantize, behind a clamp or not."""
    users = [operator for operator in program.operators if any(name in names for names in operator.live.values())]
    return bool(users) and all(
        user.kind == "quantize" or (user.kind in _CLAMPS and _is_quantized(user.outputs[0].name, program)) for user in users
    )
