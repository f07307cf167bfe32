# SPDX-License-Identifier: Apache-2.0
"""File passes for .tflite: static int8 quantization and float16 weights, by AI Edge Quantizer (AEQ).

AEQ's own calibration averages ranges over samples, which clips: it saturated a tenth of the outputs of a small
network. Here the ranges are the smallest and largest value seen, or by entropy.
"""

from pathlib import Path
from typing import Any

import numpy as np

from edgewright.calibration import Histogram, entropy_range
from edgewright.errors import ExportError
from edgewright.integrations.runtimes.litert.file import inspect
from edgewright.runtime import Array, PassRequest, refusals

_Ranges = dict[str, dict[str, Any]]


def quantize(request: PassRequest) -> None:
    """Quantize with scales from the calibration inputs; inputs and outputs of the file become int8.

    Raises:
        ExportError: AEQ refused the file, or left its inputs or outputs in float.
    """
    with refusals("AI Edge Quantizer cannot quantize", request.parent):
        recipe = _static_recipe(request.options.per_channel)
        ranges = _min_max_ranges(request.parent, recipe, request.calibration)
        if request.options.calibration == "entropy":
            ranges |= _entropy_ranges(request.parent, ranges, request.calibration)
        request.out.write_bytes(_quantized(request.parent, recipe, ranges))
    signature = inspect(request.out)
    for spec in (*signature.inputs, *signature.outputs):
        if spec.dtype != "int8":
            raise ExportError(
                f"{spec.dtype} input or output {spec.name!r} in a file that claims int8",
                where=str(request.out),
                to_do="an operator at the edge of the model cannot be quantized: move it out of the model",
            )


def to_float16(request: PassRequest) -> None:
    """Store the weights of convolutions and fully connected layers as float16; all else stays float32.

    Raises:
        ExportError: AEQ refused the file.
    """
    from ai_edge_quantizer import algorithm_manager, qtyping, recipe_manager

    with refusals("AI Edge Quantizer cannot convert to float16", request.parent):
        weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
        config = qtyping.OpQuantizationConfig(
            weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
        )
        recipe = recipe_manager.RecipeManager()
        names = qtyping.TFLOperationName
        for operation in (names.CONV_2D, names.DEPTHWISE_CONV_2D, names.CONV_2D_TRANSPOSE, names.FULLY_CONNECTED):
            recipe.add_quantization_config(".*", operation, config, algorithm_manager.AlgorithmName.FLOAT_CASTING)
        request.out.write_bytes(_quantized(request.parent, recipe, None))


def _static_recipe(per_channel: bool) -> Any:
    from ai_edge_quantizer import qtyping, recipe_manager

    granularity = qtyping.QuantGranularity.CHANNELWISE if per_channel else qtyping.QuantGranularity.TENSORWISE
    recipe = recipe_manager.RecipeManager()
    recipe.add_static_config(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        activation_num_bits=8,
        weight_num_bits=8,
        weight_granularity=granularity,
    )
    return recipe


def _min_max_ranges(file: Path, recipe: Any, inputs: Array) -> _Ranges:
    """AEQ's statistics by tensor name, {'min', 'max'} of all samples."""
    from ai_edge_quantizer import calibrator
    from ai_edge_quantizer.utils import qsv_utils

    run = calibrator.Calibrator(str(file), num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    signature, tensors = next(iter(run.get_signature_list().items()))
    run.calibrate({signature: [{tensors["inputs"][0]: sample[None]} for sample in inputs]}, recipe)
    ranges: _Ranges = run.get_model_qsvs()
    return ranges


def _entropy_ranges(file: Path, ranges: _Ranges, inputs: Array) -> _Ranges:
    """Ranges by entropy of the activations inside the graph; its input and output keep theirs.

    Clipping those would change what the file takes and answers, which no range inside can make good.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(file),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    ends = {tensor["index"] for tensor in (*interpreter.get_input_details(), *interpreter.get_output_details())}
    inner = [
        tensor
        for tensor in interpreter.get_tensor_details()
        if tensor["name"] in ranges and tensor["index"] not in ends and tensor["dtype"] == np.float32
    ]
    histograms = {tensor["name"]: Histogram() for tensor in inner}
    for sample in inputs:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample[None])
        interpreter.invoke()
        for tensor in inner:
            histograms[tensor["name"]].add(interpreter.get_tensor(tensor["index"]))
    return {name: _like(ranges[name], *entropy_range(seen)) for name, seen in histograms.items()}


def _like(old: dict[str, Any], low: float, high: float) -> dict[str, Any]:
    return {**old, "min": np.full_like(old["min"], low), "max": np.full_like(old["max"], high)}


def _quantized(file: Path, recipe: Any, ranges: _Ranges | None) -> bytes:
    from ai_edge_quantizer import quantizer

    aeq = quantizer.Quantizer(str(file), recipe.get_quantization_recipe())
    result = aeq.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model)
