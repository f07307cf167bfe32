# SPDX-License-Identifier: Apache-2.0
"""Short names for the tensors of .tflite files.

litert_torch names a tensor after the classes of all modules on its way, and of all that was fused with it: in the file of a
network of 13,000 parameters, names took 28 of 62 kB. Nothing reads them when the file is executed.
"""

from pathlib import Path
from typing import Any

from edgewright.integrations.runtimes.litert.graph import WHOLE_MODEL, layer_of


def shorten(file: Path) -> None:
    """Name each tensor after its module in the framework's model ('3.body.0'), its weight first; inputs and outputs stay.

    Further tensors of a module get a number: '3.body.0:1'. What belongs to no module is '(model)'.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    model: Any = flatbuffer_utils.read_model(str(file))
    for graph in model.subgraphs:
        ends = {*graph.inputs, *graph.outputs}
        taken = {graph.tensors[index].name for index in ends}
        inner = [tensor for index, tensor in enumerate(graph.tensors) if index not in ends]
        for tensor in sorted(inner, key=lambda one: not _is_weight(one, model.buffers)):
            tensor.name = _unique(layer_of(tensor.name.decode("utf-8")) or WHOLE_MODEL, taken)
            taken.add(tensor.name)
    flatbuffer_utils.write_model(model, str(file))


def _is_weight(tensor: Any, buffers: list[Any]) -> bool:
    return buffers[tensor.buffer].data is not None and len(tensor.shape) > 1


def _unique(name: str, taken: set[bytes]) -> bytes:
    number, candidate = 0, name
    while candidate.encode() in taken:
        number += 1
        candidate = f"{name}:{number}"
    return candidate.encode()
