# SPDX-License-Identifier: Apache-2.0
"""Passes on the weights of .tflite files, without calibration: int8 with dynamic activations, int4, float16."""

from typing import Any

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.litert import graph, recipe
from edgewright.runtime import PassRequest, refusals

LARGE = 1024
"""A matrix of fewer weights saves less than its scales and the extra operator cost; the same limit as TensorFlow Lite's."""


def to_dynamic(request: PassRequest) -> None:
    """Store weights as int8, a scale a channel; each activation is quantized by the range it has, as the file runs.

    Raises:
        ExportError: AEQ refused the file, or found no weight in it to quantize.
    """
    _convert(request, recipe.dynamic_recipe(), "INT8", "no convolution and no fully connected layer with a constant weight")


def to_int4(request: PassRequest) -> dict[str, Any]:
    """Store the weights of large fully connected layers as int4, a scale a channel; they are widened and compute in float.

    AEQ and LiteRT have blocks for dynamic quantization alone, where activations do not stay float.

    Raises:
        ExportError: AEQ refused the file, it has no large fully connected layer, or blocks are asked for.
    """
    if request.options.block_size is not None:
        raise ExportError(
            f"LiteRT has no blocks of {request.options.block_size} weights for layers that compute in float",
            where="wo_w4: block_size",
            to_do="leave block_size out: a whole output channel shares a scale",
        )
    names = graph.layers(found := graph.nodes(request.parent))
    matrices = [
        f"{names[node.operator.name]} is {' x '.join(map(str, node.shape))}"
        for node in found
        if node.weight and node.kind == "FULLY_CONNECTED"
    ]
    convolutions = sum(node.kind in graph.CONVOLUTIONS for node in found)
    said = [*matrices, f"its {convolutions} convolutions stay float"] if convolutions else matrices
    nothing = f"no fully connected layer is large enough ({LARGE} weights): {', '.join(said) or 'there is none'}"
    quantized = _convert(request, recipe.int4_recipe(LARGE), "INT4", nothing)
    return {"granularity": "channel", "int4": [names[scope] for scope in quantized]}


def to_float16(request: PassRequest) -> None:
    """Store the weights of convolutions and fully connected layers as float16; all else stays float32.

    Raises:
        ExportError: AEQ refused the file, or found no weight in it to convert.
    """
    _convert(request, recipe.float16_recipe(), "FLOAT16", "no convolution and no fully connected layer")


def _convert(request: PassRequest, asked: Any, stored: str, nothing: str) -> list[str]:
    """Apply a recipe; return the scopes of the layers whose weights are then ``stored`` so."""
    kind = request.options.name
    with refusals(f"AI Edge Quantizer cannot perform {kind}", request.parent):
        request.out.write_bytes(recipe.apply(asked, request.parent, None))
        converted = graph.stored_as(graph.nodes(request.out), stored)
    if not converted:
        raise ExportError(
            f"AI Edge Quantizer found nothing to convert for {kind}: {nothing}",
            where=str(request.parent),
            to_do=f"leave {kind} out of this target's ladder",
        )
    return [node.operator.name for node in converted]
