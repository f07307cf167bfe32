# SPDX-License-Identifier: Apache-2.0
"""From a model to IR: PyTorch through torch.export, Keras through TensorFlow's graph, ONNX and .tflite files as they are."""

from copy import deepcopy
from pathlib import Path
from typing import Any

from edgewright.errors import ExportError
from edgewright.exported_model import ExportedModel
from edgewright.integrations.runtimes.openvino import graph
from edgewright.integrations.runtimes.openvino.file import write
from edgewright.integrations.runtimes.openvino.session import read
from edgewright.runtime import Array, refusals

_LAYOUTS = {"torch": {4: "NCHW", 3: "NCL", 2: "NF"}, "keras": {4: "NHWC", 3: "NLC", 2: "NF"}}


def export(model: Any, example: Array, out: Path, precision: str) -> None:
    """Convert a float model.

    Raises:
        ExportError: torch or OpenVINO refused the model; the operator is named where it is known.
    """
    with refusals("OpenVINO refused the model", out, "replace the operator, or take a runtime that has it"):
        write(_converted(model, example), out, precision=precision)


def export_quantized(model: Any, example: Array, out: Path, precision: str) -> None:
    """Convert a model that carries its quantization; torch's on a copy.

    Raises:
        ExportError: OpenVINO refused the model, or left a layer in float; it is named.
    """
    with refusals("OpenVINO refused the quantized model", out, "replace the operator, or take ptq_w8a8"):
        if _is_keras(model):
            converted = _keras(model, example)
        else:
            from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

            # not folded: OpenVINO does not know weights that are integers already, and folds them itself
            converted = _torch(convert_pt2e(deepcopy(model), fold_quantize=False), example)
        write(converted, out, precision=precision)
        _must_be_integer(out)


def _converted(model: Any, example: Array) -> Any:
    if isinstance(model, ExportedModel):
        return _exported(model)
    return _keras(model, example) if _is_keras(model) else _torch(model, example)


def _exported(model: ExportedModel) -> Any:
    import openvino

    converted = openvino.convert_model(str(model.file), input=[[1, *model.entry.shape[1:]]])
    graph.name_layers(converted, {})
    return _with_layout(converted, {len(model.entry.layout): model.entry.layout})


def _torch(model: Any, example: Array) -> Any:
    import openvino
    import torch
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

    program = torch.export.export(model, (torch.from_numpy(example),))
    decoder = TorchFXPythonDecoder.from_exported_program(program)  # as convert_model does; it knows the names of layers
    converted = openvino.convert_model(decoder, input=[list(example.shape)])
    graph.name_layers(converted, _layer_names(decoder.pt_module.graph))
    return _with_layout(converted, _LAYOUTS["torch"])


def _keras(model: Any, example: Array) -> Any:
    import openvino

    converted = openvino.convert_model(model, input=[list(example.shape)])
    graph.name_layers(converted, {})
    return _with_layout(converted, _LAYOUTS["keras"])


def _with_layout(converted: Any, layouts: dict[int, str]) -> Any:
    import openvino

    for port in converted.inputs:
        layout = layouts.get(len(port.get_partial_shape()))
        if layout is not None:
            port.get_node().set_layout(openvino.Layout(layout))
    return converted


def _layer_names(traced: Any) -> dict[str, str]:
    """Node of a torch.fx graph to the layer whose weight it takes, or whose output alone it normalizes."""
    names: dict[str, str] = {}
    for node in traced.nodes:
        if node.op != "call_function" or not node.args:
            continue
        parameter = _parameter(node.args[1]) if len(node.args) > 1 else None
        source = getattr(node.args[0], "name", "")
        if parameter is not None and parameter.meta["val"].ndim > 1:
            names[node.name] = str(parameter.target).removesuffix(".weight")
        elif source in names and ("batch_norm" in node.name or "getitem" in node.name):
            names[node.name] = names[source]
    return names


def _parameter(node: Any) -> Any | None:
    """The stored tensor that a node hands on, quantized or not; None where it is computed from an input."""
    while getattr(node, "op", "") == "call_function" and "quantize" in str(node.target):
        node = node.args[0]
    return node if getattr(node, "op", "") == "get_attr" else None


def _is_keras(model: Any) -> bool:
    return any(base.__module__.partition(".")[0] in ("tf_keras", "keras") for base in type(model).__mro__)


def _must_be_integer(out: Path) -> None:
    """Make sure that each layer takes quantized values and stores an int8 weight, as integer kernels want them."""
    model = read(out)
    integer = set(graph.stored_as(model, "i8", "u8"))
    for name, layer in graph.layers(model).items():
        if name not in integer or graph.step(layer.input_value(0).get_node()) is None:
            raise ExportError(
                f"{layer.get_type_name()} is left in float in a file of integers",
                where=f"{out}: layer {name!r}",
                to_do="take ptq_w8a8 for this model",
            )
