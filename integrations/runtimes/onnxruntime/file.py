# SPDX-License-Identifier: Apache-2.0
"""ONNX files: written from a torch model, cleaned so that the same model gives the same bytes, and read back."""

from pathlib import Path
from typing import Any

from edgewright.artifact import TensorSpec
from edgewright.errors import ExportError
from edgewright.runtime import Array, Signature, refusals

OPSET = 20
_LAYOUTS = {4: "NCHW", 3: "NCL", 2: "NF"}


def export(model: Any, example: Array, out: Path) -> None:
    """Export with torch's exporter for opset 20, which folds constants and batch normalization.

    Raises:
        ExportError: the exporter or the ONNX checker refused.
    """
    import torch

    with refusals("torch.onnx.export refused the model", out, "replace the operator, or take a runtime that has it"):
        program = torch.onnx.export(
            model,
            (torch.from_numpy(example),),
            dynamo=True,
            input_names=["input"],
            output_names=["output"],
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
        if program is None:
            raise ValueError("it returned nothing")
        program.optimize()
        write(program.model_proto, out)


def write(model: Any, out: Path) -> None:
    """Check a ModelProto and write it without metadata and doc strings: they hold paths, and more bytes than weights."""
    import onnx

    for part in [model, model.graph, *model.graph.node, *model.graph.initializer, *_values(model)]:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.checker.check_model(model)
    out.write_bytes(model.SerializeToString(deterministic=True))


def inspect(file: Path) -> Signature:
    """Read what an ONNX file declares.

    Raises:
        ExportError: it is cut short, another format, or a file with its weights is not beside it.
    """
    graph = _read(file)[0].graph
    weights = {weight.name for weight in graph.initializer}
    return Signature(
        inputs=tuple(_input(value, file) for value in graph.input if value.name not in weights),
        outputs=tuple(_output(value, graph, file) for value in graph.output),
    )


def companions(file: Path) -> tuple[Path, ...]:
    """Return the files beside an ONNX file that hold its weights: torch.onnx.export writes them so unless told otherwise.

    Raises:
        ExportError: the file is not readable, or a file with its weights is not beside it.
    """
    return _read(file)[1]


def _read(file: Path) -> tuple[Any, tuple[Path, ...]]:
    """Return the model, and the files beside it that hold its weights."""
    import onnx

    with refusals("not a readable ONNX file", file, "export it again"):
        model = onnx.load(str(file), load_external_data=False)
        beside = _weights_beside(model, file)
        onnx.checker.check_model(str(file.absolute()))  # by its path: weights are looked for beside it
        return model, beside


def _weights_beside(model: Any, file: Path) -> tuple[Path, ...]:
    """A name that leads out of the folder would have a stranger's file read any other."""
    from onnx.external_data_helper import ExternalDataInfo, _get_all_tensors, uses_external_data

    names = {ExternalDataInfo(tensor).location for tensor in _get_all_tensors(model) if uses_external_data(tensor)}
    for name in sorted(names):
        beside = file.with_name(name) if name and Path(name).name == name else None
        if beside is None or not beside.is_file() or beside.is_symlink():
            raise ExportError(
                f"the ONNX file keeps weights in {name!r}, which is no file beside it",
                where=str(file),
                to_do="put it there, or export with external_data=False",
            )
    return tuple(file.with_name(name) for name in sorted(names))


def _values(model: Any) -> list[Any]:
    return [*model.graph.input, *model.graph.output, *model.graph.value_info]


def _input(value: Any, file: Path) -> TensorSpec:
    spec = _spec(value, file)
    return spec.model_copy(update={"layout": _LAYOUTS.get(len(spec.shape), "")})


def _output(value: Any, graph: Any, file: Path) -> TensorSpec:
    return _spec(value, file).model_copy(update={"lsb": _step(value.name, graph)})


def _spec(value: Any, file: Path) -> TensorSpec:
    import onnx

    tensor = value.type.tensor_type
    with refusals(f"the type of {value.name!r} is not supported", file, "give the model float inputs and outputs"):
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
        shape = tuple(axis.dim_value if axis.HasField("dim_value") else -1 for axis in tensor.shape.dim)
        return TensorSpec.model_validate({"name": value.name, "shape": shape, "dtype": dtype})


def _step(output: str, graph: Any) -> float | None:
    """Scale of the DequantizeLinear that makes a float output, when there is one."""
    import onnx

    maker = next((node for node in graph.node if output in node.output), None)
    if maker is None or maker.op_type != "DequantizeLinear":
        return None
    scale = next((weight for weight in graph.initializer if weight.name == maker.input[1]), None)
    return float(onnx.numpy_helper.to_array(scale).reshape(-1)[0]) if scale is not None else None
