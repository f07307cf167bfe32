# SPDX-License-Identifier: Apache-2.0
"""Torch models as ML programs: float ones, and those that were trained with their quantization."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.coreml.package import write_package
from edgewright.integrations.runtimes.coreml.program import open_program
from edgewright.integrations.runtimes.coreml.quantized import must_be_integer
from edgewright.integrations.runtimes.coreml.toolkit import toolkit
from edgewright.runtime import Array, refusals

#: it takes a reshape between two scales for one within a scale, and leaves the second scale out: other answers, unsaid
_MISCOMPILES = "common::int_op_canonicalization"
_NO_CONVERSION = re.compile(r"(?:convert function for op '|Unsupported fx node )([\w.]+)")


def export(model: Any, example: Array, out: Path, target: str, precision: str) -> None:
    """Convert a float model, with a batch of one and float32 inputs and outputs.

    Args:
        model: an ``nn.Module`` in inference mode.
        example: one float32 sample with batch dimension.
        out: package to write.
        target: oldest system that has to run it: 'iOS17'.
        precision: what it computes in: 'float32' or 'float16'.

    Raises:
        ExportError: torch or coremltools refused the model; the operator is named with its layer.
    """
    with _conversion(out, "replace the operator, or take a runtime that has it"):
        _convert(model, example, out, target, precision)


def export_quantized(model: Any, example: Array, out: Path, target: str, precision: str) -> None:
    """Convert a prepared graph, on a copy: int8 weights and activations, float32 inputs and outputs.

    Raises:
        ExportError: coremltools refused the model, the target is older than iOS 17, or a layer is left in float.
    """
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

    if target == "iOS16":
        raise ExportError(
            "quantized activations need iOS 17, and the target is iOS 16",
            where="options.minimum_deployment_target",
            to_do="set it to iOS17 or newer, or take wo_w8, which quantizes weights alone",
        )
    with _conversion(out, "replace the operator, or take wo_w8"):
        _convert(convert_pt2e(deepcopy(model)), example, out, target, precision)
    must_be_integer(open_program(out), "take wo_w8 for this model")


def sound_pipeline(coremltools: Any) -> Any:
    """Return coremltools' default passes without the one that changes what a program answers."""
    pipeline = coremltools.PassPipeline.DEFAULT
    pipeline.remove_passes({_MISCOMPILES})
    return pipeline


def save(converted: Any, out: Path) -> None:
    """Write an MLModel as a package of ours: the same model gives the same bytes."""
    weights = Path(converted.weights_dir or "") / "weight.bin"
    write_package(converted.get_spec(), weights if weights.is_file() else None, out)


def _convert(model: Any, example: Array, out: Path, target: str, precision: str) -> None:
    import torch

    coremltools = toolkit()
    sample = torch.from_numpy(np.ascontiguousarray(example))
    program = torch.export.export(model, (sample,)).run_decompositions({})
    try:
        converted = coremltools.convert(
            program,
            convert_to="mlprogram",
            inputs=[coremltools.TensorType(name="input", shape=example.shape, dtype=example.dtype.type)],
            outputs=[coremltools.TensorType(name="output", dtype=example.dtype.type)],
            minimum_deployment_target=getattr(coremltools.target, target),
            compute_precision=getattr(coremltools.precision, precision.upper()),
            pass_pipeline=sound_pipeline(coremltools),
            skip_model_load=True,
        )
    except NotImplementedError as error:
        operator = _NO_CONVERSION.search(str(error))
        if operator is None:
            raise
        raise _without_conversion(program, operator[1], out) from error
    save(converted, out)


def _without_conversion(program: Any, operator: str, out: Path) -> ExportError:
    """Name an operator that cannot be converted, and the layers it stands in."""
    nodes = [node for node in program.graph.nodes if node.op == "call_function" and operator in str(node.target).split(".")]
    stacks = [list((node.meta.get("nn_module_stack") or {}).values()) for node in nodes]
    layers = sorted({repr(stack[-1][0]) for stack in stacks if stack and stack[-1][0]})
    return ExportError(
        f"coremltools has no conversion for operator {operator}",
        where=f"{out}: layer {', '.join(layers)}" if layers else str(out),
        to_do="replace the operator, or take a runtime that has it",
    )


@contextmanager
def _conversion(out: Path, to_do: str) -> Iterator[None]:
    with warnings.catch_warnings(), refusals("coremltools refused the model", out, to_do):
        warnings.simplefilter("ignore")
        yield
