# SPDX-License-Identifier: Apache-2.0
"""Passes on the weights of ML programs, without calibration: int8, palettes of a few values, float16."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgewright.bundle import copy_whole
from edgewright.errors import ExportError
from edgewright.integrations.runtimes.coreml.convert import save
from edgewright.integrations.runtimes.coreml.package import read_model
from edgewright.integrations.runtimes.coreml.program import open_program
from edgewright.integrations.runtimes.coreml.toolkit import toolkit
from edgewright.runtime import PassRequest, refusals

SMALLEST = 64
"""Arrays of fewer weights stay as they are: scales and palettes would cost what is saved."""


def to_int8(request: PassRequest) -> None:
    """Store weights as symmetric int8, a scale an output channel; they are widened and compute in float.

    Raises:
        ExportError: coremltools refused the file, or found no weight in it to convert.
    """

    def quantized(coremltools: Any, model: Any) -> Any:
        optimize = coremltools.optimize.coreml
        each = optimize.OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int8", weight_threshold=SMALLEST)
        return optimize.linear_quantize_weights(model, optimize.OptimizationConfig(global_config=each))

    _convert(request, quantized, ("constexpr_affine_dequantize", "constexpr_blockwise_shift_scale"))


def to_palettes(request: PassRequest) -> None:
    """Store weights as indices into a palette of 2**bits values an array, found by k-means; they compute in float.

    Raises:
        ExportError: coremltools refused the file, or found no weight in it to convert.
    """

    def palettized(coremltools: Any, model: Any) -> Any:
        optimize = coremltools.optimize.coreml
        each = optimize.OpPalettizerConfig(mode="kmeans", nbits=request.options.bits, weight_threshold=SMALLEST)
        return optimize.palettize_weights(model, optimize.OptimizationConfig(global_config=each))

    _convert(request, palettized, ("constexpr_lut_to_dense",))


def to_float16(request: PassRequest) -> None:
    """Store weights and compute in float16; inputs and outputs of the file stay float32.

    Raises:
        ExportError: coremltools refused the file, or it computes in float16 already.
    """

    def narrowed(coremltools: Any, model: Any) -> Any:
        from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY
        from coremltools.models.utils import _apply_graph_pass

        cleaning = ("cast_optimization", "const_elimination", "dead_code_elimination")
        narrow = [coremltools.transform.FP16ComputePrecision(op_selector=lambda _: True)]
        narrow += [PASS_REGISTRY[f"common::{name}"] for name in cleaning]
        return _apply_graph_pass(model, narrow, model.get_spec().specificationVersion)

    _convert(request, narrowed, ("float16",))


def _convert(request: PassRequest, convert: Callable[[Any, Any], Any], stored: tuple[str, ...]) -> None:
    """Convert the file, and make sure that it then has weights ``stored`` so and runs on the systems its parent runs on."""
    kind = request.options.name
    with (
        tempfile.TemporaryDirectory(prefix="edgewright-mlpackage-") as folder,
        refusals(f"coremltools cannot perform {kind}", request.parent),
    ):
        coremltools = toolkit()
        opened = Path(folder) / request.parent.name
        copy_whole(request.parent, opened)  # coremltools writes to a package that it opens, and artifacts are sealed
        save(convert(coremltools, coremltools.models.MLModel(str(opened), skip_model_load=True)), request.out)
    _must_keep_target(request)
    if not _weights(request.out, stored) - _weights(request.parent, stored):
        raise ExportError(
            f"coremltools found nothing to convert for {kind}: no weights of {SMALLEST} or more are stored as float32",
            where=str(request.parent),
            to_do=f"leave {kind} out of this target's ladder",
        )


def _must_keep_target(request: PassRequest) -> None:
    """Make sure that a pass has not made the file one for newer systems, which coremltools does without a word.

    Raises:
        ExportError: it has.
    """
    before, after = (read_model(package)[0].specificationVersion for package in (request.parent, request.out))
    if after != before:
        raise ExportError(
            f"{request.options.name} needs a newer system than the file is for (specification {after}, not {before})",
            where=str(request.parent),
            to_do="set options.minimum_deployment_target of the target to iOS17 or newer",
        )


def _weights(package: Path, stored: tuple[str, ...]) -> set[str]:
    """Names of the weights that are stored so: by the operators that widen them, or as 'float16' constants."""
    return {weight.name for weight in open_program(package).weights if weight.stored in stored}
