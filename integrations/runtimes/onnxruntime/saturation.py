# SPDX-License-Identifier: Apache-2.0
"""ONNX files for processors on which sums of products of uint8 activations and int8 weights saturate: x86-64 without VNNI.

int8 weights become uint8, the same values 128 steps up: ONNX Runtime then sums in 32 bits, and answers bit by bit what it
answers where nothing saturates (onnxruntime.ai, "Quantize ONNX models", on U8S8 and U8U8).
"""

from pathlib import Path
from typing import Any

import numpy as np

from edgewright.integrations.runtimes.onnxruntime.file import write
from edgewright.runtime import refusals

_UP = 128


def without_saturation(file: Path, out: Path) -> dict[str, Any]:
    """Write the file with uint8 weights; return how many there are, and write nothing where none is int8.

    Raises:
        ExportError: the file is not readable.
    """
    import onnx

    with refusals("ONNX weights cannot be made uint8", file):
        model = onnx.load(str(file))
        moved = _to_uint8(model.graph)
        if moved:
            write(model, out)
    return {"weights": "uint8", "layers": moved} if moved else {}


def _to_uint8(graph: Any) -> int:
    """Move all int8 weights that a DequantizeLinear reads, and their zero points, 128 steps up."""
    import onnx

    arrays = {one.name: one for one in graph.initializer}
    read = [node for node in graph.node if node.op_type == "DequantizeLinear" and _is_int8(node.input[0], arrays)]
    made: dict[str, Any] = {}
    for node in read:
        scale = onnx.numpy_helper.to_array(arrays[node.input[1]])
        has_zero = len(node.input) > 2 and node.input[2]
        zero = onnx.numpy_helper.to_array(arrays[node.input[2]]) if has_zero else np.zeros(scale.shape, np.int8)
        for index, values in ((0, onnx.numpy_helper.to_array(arrays[node.input[0]])), (2, zero)):
            name = f"{node.input[0]}_uint8" + ("" if index == 0 else "_zero_point")
            made[name] = onnx.numpy_helper.from_array((values.astype(np.int16) + _UP).astype(np.uint8), name)
        del node.input[2:]
        node.input[0] += "_uint8"
        node.input.append(f"{node.input[0]}_zero_point")
    used = {name for node in graph.node for name in node.input}
    kept = [one for one in graph.initializer if one.name in used]
    del graph.initializer[:]
    graph.initializer.extend([*kept, *made.values()])
    return len(read)


def _is_int8(name: str, arrays: dict[str, Any]) -> bool:
    import onnx

    return name in arrays and arrays[name].data_type == onnx.TensorProto.INT8
