# SPDX-License-Identifier: Apache-2.0
"""ONNX files of models trained with their quantization: QDQ with the very scales of the training.

Activations become uint8: the same real values 128 steps up. With int8 ones ONNX Runtime leaves convolutions in float on
x86 (measured: 8 of 13), and ARM runs both.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.onnxruntime.file import write
from edgewright.runtime import Array, refusals

_OPSET = 21
_UP = 128
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def export_quantized(model: Any, example: Array, out: Path) -> None:
    """Convert a prepared graph, on a copy, and write it with float32 inputs and outputs and a batch of one.

    Raises:
        ExportError: torch refused the model, or a layer is left in float; it is named.
    """
    import torch
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

    with refusals("torch.onnx.export refused the quantized model", out, "replace the operator, or take ptq_w8a8"):
        program = torch.onnx.export(
            convert_pt2e(deepcopy(model)),
            (torch.from_numpy(example),),
            dynamo=True,
            input_names=["input"],
            output_names=["output"],
            opset_version=_OPSET,
            external_data=False,
            verbose=False,
        )
        if program is None:
            raise ValueError("it returned nothing")
        program.optimize()
        converted = program.model_proto
        _to_uint8(converted.graph)
        _must_be_integer(converted.graph, out)
        write(converted, out)


def _to_uint8(graph: Any) -> None:
    """Move the zero points of int8 activations up into uint8; weights, which are initializers, stay int8."""
    import onnx

    weights = {weight.name: weight for weight in graph.initializer}
    for node in graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or node.input[0] in weights:
            continue
        zero_point = onnx.numpy_helper.to_array(weights[node.input[2]])
        if zero_point.dtype == np.int8:
            moved = (zero_point.astype(np.int16) + _UP).astype(np.uint8)
            name = f"{node.input[2]}_uint8"
            if name not in weights:
                weights[name] = onnx.numpy_helper.from_array(moved, name)
                graph.initializer.append(weights[name])
            node.input[2] = name
    used = {name for node in graph.node for name in node.input}
    kept = [weight for weight in graph.initializer if weight.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]  # it still says int8


def _must_be_integer(graph: Any, out: Path) -> None:
    """Make sure that each layer with weights takes and gives quantized values, as integer kernels want them."""
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type not in _WEIGHTED:
            continue
        taken = all(name in makers and makers[name].op_type == "DequantizeLinear" for name in node.input[:2])
        if not (taken and _is_quantized(node.output[0], graph)):
            raise ExportError(
                f"{node.op_type} is left in float in a file of integers",
                where=f"{out}: layer {node.name or node.output[0]!r}",
                to_do="take ptq_w8a8 for this model",
            )


def _is_quantized(name: str, graph: Any) -> bool:
    """Whether all that a value goes into is a QuantizeLinear, behind a clamp or not."""
    users = [node for node in graph.node if name in node.input]
    return bool(users) and all(
        user.op_type == "QuantizeLinear" or (user.op_type in ("Relu", "Clip") and _is_quantized(user.output[0], graph))
        for user in users
    )
