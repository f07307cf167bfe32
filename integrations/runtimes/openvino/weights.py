# SPDX-License-Identifier: Apache-2.0
"""Passes on the weights of IR files, without calibration: int8 with dynamic activations, int4 in blocks, float16."""

import logging
from typing import Any

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.openvino import graph
from edgewright.integrations.runtimes.openvino.file import write
from edgewright.integrations.runtimes.openvino.session import precision, read
from edgewright.runtime import PassRequest, refusals

LARGE = 1024
"""A matrix of fewer weights saves less than its scales and the extra operators cost; the same limit as TensorFlow Lite's."""
_BLOCK_SIZE = 32
_DYNAMIC_GROUP = 32
"""Activations that share a scale; OpenVINO's default on processors, written down so that every version obeys it."""


def to_dynamic(request: PassRequest) -> dict[str, Any]:
    """Store weights as uint8, a scale a channel; matrix multiplications quantize activations by the range they have.

    Convolutions have no such kernels: their weights are widened as the file is loaded, and they compute in float. The
    manifest says which layers do what.

    Raises:
        ExportError: NNCF refused the file, or found no weight in it to quantize.
    """
    import nncf

    nncf.set_log_level(logging.ERROR)
    with refusals("NNCF cannot quantize", request.parent):
        model = read(request.parent)
        names = graph.layers(model)
        compressed = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM)
        stored = graph.stored_as(compressed, "u8")
        if not stored:
            raise _nothing(request, "no convolution and no matrix multiplication with a constant weight")
        write(compressed, request.out, precision=precision(model), dynamic_group=_DYNAMIC_GROUP)
    convolutions = [name for name in stored if names[name].get_type_name() in graph.CONVOLUTIONS]
    return {"dynamic": [name for name in stored if name not in convolutions], "stored_only": convolutions}


def to_int4(request: PassRequest) -> dict[str, Any]:
    """Store the weights of large matrix multiplications as int4 in blocks; activations and all else stay float.

    Raises:
        ExportError: NNCF refused the file, or it has no large matrix multiplication of whole blocks.
    """
    import nncf

    nncf.set_log_level(logging.ERROR)
    block_size = request.options.block_size or _BLOCK_SIZE
    with refusals("NNCF cannot quantize", request.parent):
        model = read(request.parent)
        large = [name for name, layer in graph.layers(model).items() if _is_large(layer, block_size)]
        if not large:
            raise _nothing(request, _too_small(model, block_size))
        others = [name for name in graph.layers(model) if name not in large]
        compressed = nncf.compress_weights(
            model,
            mode=nncf.CompressWeightsMode.INT4_SYM,
            ratio=1.0,
            group_size=block_size,
            all_layers=True,
            ignored_scope=nncf.IgnoredScope(names=others),
        )
        if graph.stored_as(compressed, "i4") != large:
            raise _nothing(request, f"NNCF passed over one of {', '.join(large)}")
        write(compressed, request.out, precision=precision(model), dynamic_group=0)
    return {"block_size": block_size, "int4": large}


def to_float16(request: PassRequest) -> None:
    """Store weights as float16; they are widened as the file is loaded, and compute in the file's own precision.

    Raises:
        ExportError: OpenVINO refused the file, or found no weight in it to convert.
    """
    with refusals("OpenVINO cannot convert to float16", request.parent):
        model = read(request.parent)
        write(model, request.out, precision=precision(model), float16=True)
        if not graph.stored_as(read(request.out), "f16"):
            raise _nothing(request, "no convolution and no matrix multiplication with a constant weight")


def _is_large(layer: Any, block_size: int) -> bool:
    rows, columns = _matrix(layer)
    return columns > 0 and columns % block_size == 0 and rows * columns >= LARGE


def _matrix(layer: Any) -> tuple[int, int]:
    """Outputs and inputs of a layer that multiplies by a matrix; (0, 0) for others."""
    if layer.get_type_name() in graph.CONVOLUTIONS:
        return 0, 0
    shape = tuple(graph.weight(layer).get_shape())  # type: ignore[union-attr]  # it is a layer
    if len(shape) != 2:
        return 0, 0
    rows, columns = shape if layer.get_attributes()["transpose_b"] else reversed(shape)
    return rows, columns


def _too_small(model: Any, block_size: int) -> str:
    found = graph.layers(model)
    sizes = {name: _matrix(layer) for name, layer in found.items()}
    said = [f"{name} is {rows} x {columns}" for name, (rows, columns) in sizes.items() if rows]
    convolutions = sum(layer.get_type_name() in graph.CONVOLUTIONS for layer in found.values())
    if convolutions:
        said.append(f"its {convolutions} convolutions stay float")
    wanted = f"{LARGE} weights, inputs in whole blocks of {block_size}"
    return f"no matrix multiplication is large enough ({wanted}): {', '.join(said) or 'there is none'}"


def _nothing(request: PassRequest, what: str) -> ExportError:
    kind = request.options.name
    return ExportError(
        f"found nothing to convert for {kind}: {what}",
        where=str(request.parent),
        to_do=f"leave {kind} out of this target's ladder",
    )
