# SPDX-License-Identifier: Apache-2.0
"""TFLite files of models trained with their quantization: int8 throughout, with the very scales of the training."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.litert.file import channels_last
from edgewright.runtime import Array, refusals

_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
"""Operators beside those that are left in float: they are named last."""


def export_quantized(model: Any, example: Array, out: Path) -> None:
    """Convert a prepared graph, on a copy; inputs and outputs are int8, with channels last.

    Raises:
        ExportError: the converter refused the model, or a tensor is left in float; its operator is named.
    """
    import litert_torch
    from litert_torch.quantize import pt2e_quantizer, quant_config
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

    # only says that the graph is quantized, and how: without it all stays in float between pairs of QUANTIZE
    quantizer = pt2e_quantizer.PT2EQuantizer()
    quantizer.set_global(pt2e_quantizer.get_symmetric_quantization_config(is_per_channel=True))
    with refusals("litert_torch refused the quantized model", out, "replace the operator, or take ptq_w8a8"):
        # not folded: the converter does not know weights that are integers already
        converted = convert_pt2e(deepcopy(model), fold_quantize=False)
        converted, sample = channels_last(converted, example)
        written = litert_torch.convert(converted, (sample,), quant_config=quant_config.QuantConfig(pt2e_quantizer=quantizer))
        written.export(str(out))
    _must_be_integer(out)


def _must_be_integer(file: Path) -> None:
    """Make sure that no tensor of the file is float."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with refusals("LiteRT cannot read the file", file):
        interpreter = Interpreter(
            model_path=str(file), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
        operators = interpreter._get_ops_details()
    for operator in sorted(operators, key=lambda one: one["op_name"] in _CONVERSIONS):
        for index in (*operator["inputs"], *operator["outputs"]):
            if index in tensors and tensors[index]["dtype"] == np.float32:
                raise ExportError(
                    f"operator {operator['op_name']} is left in float in a file of integers",
                    where=f"{file}: tensor {tensors[index]['name']!r}",
                    to_do="take ptq_w8a8 for this model",
                )
