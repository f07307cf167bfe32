# SPDX-License-Identifier: Apache-2.0
"""From a torch model to a .pte file: exported, partitioned, lowered. Imports torch: import it in functions."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.executorch import payload, program
from edgewright.integrations.runtimes.executorch.delegates import BACKENDS, Delegate, partitioner
from edgewright.quiet import quietly
from edgewright.runtime import Array, refusals

#: operators with weights, where they are left to kernels outside of a delegate
_WEIGHTED = ("aten::convolution", "aten::addmm", "aten::mm", "aten::bmm", "aten::linear")


def export(model: Any, example: Array, out: Path, delegate: Delegate) -> None:
    """Write a float model with a batch of one.

    Raises:
        ExportError: torch or ExecuTorch refused the model, or the delegate took none of its operators.
        ToolkitMissing: the delegate's own toolkit is not installed.
    """
    with quietly(), refusals("ExecuTorch refused the model", out, "replace the operator, or take a runtime that has it"):
        lower(model, torch.from_numpy(example), out, delegate)


def export_quantized(model: Any, example: Array, out: Path, delegate: Delegate) -> None:
    """Convert a prepared graph, on a copy, and write it with float32 inputs and outputs and a batch of one.

    Raises:
        ExportError: torch or ExecuTorch refused the model, or a layer is left in float; it is named.
    """
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

    must_be_for_xnnpack(BACKENDS[delegate], out)
    with quietly(), refusals("ExecuTorch refused the quantized model", out, "replace the operator, or take ptq_w8a8"):
        lower(convert_pt2e(deepcopy(model)), torch.from_numpy(example), out, delegate)
    _, others = layers(out)
    if others:
        raise ExportError(
            f"{', '.join(others)} is left in float in a file of integers", where=str(out), to_do="take ptq_w8a8 for this model"
        )


def lower(model: Any, example: torch.Tensor, out: Path, delegate: Delegate) -> None:
    """Write a module, float or converted to integers, as a .pte file; any of the toolkits' errors may come out.

    Raises:
        ExportError: the delegate took no operator: reference kernels would run all of it, some 200 times slower.
    """
    from executorch.exir import to_edge_transform_and_lower

    exported = torch.export.export(model, (example,))
    lowered = to_edge_transform_and_lower(exported, partitioner=[partitioner(delegate)])
    out.write_bytes(lowered.to_executorch().buffer)
    written = program.read(out)
    if BACKENDS[delegate] not in program.backends(written):
        raise ExportError(
            f"ExecuTorch's delegate {delegate!r} took no operator of the model: {', '.join(program.operators(written))}",
            where=str(out),
            to_do="take another delegate or another runtime: ExecuTorch's own kernels are for reference",
        )


def layers(file: Path) -> tuple[list[str], list[str]]:
    """Return the layers of a file that compute in integers, and those that do not; weights are XNNPACK's, or they are float."""
    read = program.read(file)
    integer, others = [], [name for name in program.operators(read) if name.startswith(_WEIGHTED)]
    for graph in payload.graphs(read, program.plan_of(read)).values():
        quantized, not_quantized = payload.integer_layers(graph)
        integer += quantized
        others += not_quantized
    return integer, others


def must_be_for_xnnpack(backend: str, where: Path) -> None:
    """Refuse integers for a delegate whose answers cannot be checked here.

    Raises:
        ExportError: it is another delegate than XNNPACK.
    """
    if backend != BACKENDS["xnnpack"]:
        raise ExportError(
            f"ExecuTorch models are quantized here for XNNPACK alone, not for {backend}",
            where=str(where),
            to_do="take delegate 'xnnpack', or the float model",
        )
