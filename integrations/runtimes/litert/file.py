# SPDX-License-Identifier: Apache-2.0
"""TFLite files: written from a torch model with channels last, and read back."""

from pathlib import Path
from typing import Any

import numpy as np

from edgewright.artifact import TensorSpec
from edgewright.runtime import Array, Signature, refusals

_LAYOUTS = {4: "NHWC", 3: "NLC", 2: "NF"}


def export(model: Any, example: Array, out: Path) -> None:
    """Convert with litert_torch; inputs, and outputs of three or more axes, have channels last.

    Raises:
        ExportError: the converter refused the model.
    """
    import litert_torch

    with refusals("litert_torch refused the model", out, "replace the operator, or take a runtime that has it"):
        model, sample = channels_last(model, example)
        litert_torch.convert(model, (sample,)).export(str(out))


def channels_last(model: Any, example: Array) -> tuple[Any, Any]:
    """Wrap a torch model to take channels last, and to return them last where it returns more than two axes.

    Returns the model, and the example as a tensor in the layout it now takes.
    """
    import litert_torch
    import torch

    sample = torch.from_numpy(example)
    if sample.ndim < 3:
        return model, sample
    with torch.no_grad():
        output_axes = model(sample).ndim
    wrapped = litert_torch.to_channel_last_io(model, args=[0], outputs=[0] if output_axes > 2 else [])
    return wrapped, sample.movedim(1, -1).contiguous()


def inspect(file: Path) -> Signature:
    """Read what a .tflite file declares; the interpreter verifies the flatbuffer before it reads.

    Raises:
        ExportError: it is cut short, or another format.
    """
    from ai_edge_litert.interpreter import Interpreter

    with refusals("LiteRT cannot read the file", file, "export it again; replace the operator, where one is named"):
        if not file.stat().st_size:
            raise ValueError("the file is empty")
        interpreter = Interpreter(model_path=str(file))
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    return Signature(
        inputs=tuple(_spec(tensor, file, _LAYOUTS.get(len(tensor["shape"]), "")) for tensor in inputs),
        outputs=tuple(_spec(tensor, file, "") for tensor in outputs),
    )


def _spec(tensor: dict[str, Any], file: Path, layout: str) -> TensorSpec:
    quantized = len(tensor["quantization_parameters"]["scales"]) > 0
    scale, zero_point = tensor["quantization"]
    with refusals(f"the type of {tensor['name']!r} is not supported", file, "give the model float inputs and outputs"):
        return TensorSpec.model_validate(
            {
                "name": tensor["name"],
                "shape": tuple(int(axis) for axis in tensor["shape_signature"]),
                "dtype": np.dtype(tensor["dtype"]).name,
                "layout": layout,
                "scale": float(scale) if quantized else None,
                "zero_point": int(zero_point),
                "lsb": float(scale) if quantized else None,
            }
        )
