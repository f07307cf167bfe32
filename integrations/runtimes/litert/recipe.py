# SPDX-License-Identifier: Apache-2.0
"""AI Edge Quantizer (AEQ): its recipes, as the passes need them, and the call that applies one to a file."""

import copy
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from edgewright.integrations.runtimes.litert.graph import LAYERS, Node

Ranges = dict[str, dict[str, Any]]
"""AEQ's statistics by tensor name: {'min', 'max'}."""


def static_recipe(activation_bits: Literal[8, 16], per_channel: bool) -> Any:
    """Int8 weights, integer activations, inputs and outputs."""
    from ai_edge_quantizer import qtyping, recipe_manager

    recipe = recipe_manager.RecipeManager()
    _add_static(recipe, ".*", qtyping.TFLOperationName.ALL_SUPPORTED, activation_bits, per_channel)
    return recipe


def keep(recipe: Any, nodes: Iterable[Node], fallback: Literal["float", "int16"], per_channel: bool) -> None:
    """Take operators out of a static recipe: to float, or to 16-bit activations where AEQ has them.

    Rules name the kind of operator: one for all kinds would match the file's output too, which has its maker's scope.
    """
    from ai_edge_quantizer import algorithm_manager, qtyping

    for node in nodes:
        if not node.kind:
            continue  # AEQ does not know it: it is float already
        scope, kind = f"^{re.escape(node.operator.name)}$", qtyping.TFLOperationName(node.kind)
        if fallback == "float":
            recipe.add_quantization_config(scope, kind, None, algorithm_manager.AlgorithmName.NO_QUANTIZE)
        else:
            _add_static(recipe, scope, kind, 16, per_channel)


def dynamic_recipe() -> Any:
    """Int8 weights, a scale a channel; activations are quantized as the file runs."""
    from ai_edge_quantizer import qtyping, recipe_manager

    recipe = recipe_manager.RecipeManager()
    recipe.add_dynamic_config(".*", qtyping.TFLOperationName.ALL_SUPPORTED, num_bits=8)
    return recipe


def int4_recipe(smallest: int) -> Any:
    """Int4 weights, a scale a channel, of fully connected layers with at least ``smallest`` weights; they compute in float."""
    from ai_edge_quantizer import qtyping, recipe_manager

    recipe = recipe_manager.RecipeManager()
    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=4, symmetric=True, granularity=qtyping.QuantGranularity.CHANNELWISE
        ),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
        min_weight_elements=smallest,
    )
    recipe.add_quantization_config(".*", qtyping.TFLOperationName.FULLY_CONNECTED, config)
    return recipe


def float16_recipe() -> Any:
    """Float16 weights of the layers; they compute in float32."""
    from ai_edge_quantizer import algorithm_manager, qtyping, recipe_manager

    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
    )
    recipe = recipe_manager.RecipeManager()
    for kind in LAYERS:
        name = qtyping.TFLOperationName(kind)
        recipe.add_quantization_config(".*", name, config, algorithm_manager.AlgorithmName.FLOAT_CASTING)
    return recipe


def apply(recipe: Any, file: Path, ranges: Ranges | None) -> bytes:
    """Return the quantized file."""
    from ai_edge_quantizer import quantizer

    aeq = quantizer.Quantizer(str(file), recipe.get_quantization_recipe())
    result = aeq.quantize(copy.deepcopy(ranges), enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model)


def _add_static(recipe: Any, scope: str, kind: Any, activation_bits: int, per_channel: bool) -> None:
    from ai_edge_quantizer import qtyping

    granularity = qtyping.QuantGranularity.CHANNELWISE if per_channel else qtyping.QuantGranularity.TENSORWISE
    recipe.add_static_config(
        regex=scope,
        operation_name=kind,
        activation_num_bits=activation_bits,
        weight_num_bits=8,
        weight_granularity=granularity,
    )
