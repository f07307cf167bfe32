# SPDX-License-Identifier: Apache-2.0
"""The operators of a .tflite file, each with the layer of the model it comes from: what compilers and checks name."""

from pathlib import Path
from typing import Any

from edgewright.artifact import DType, TensorSpec
from edgewright.integrations.runtimes.litert.file import inspect
from edgewright.integrations.runtimes.litert.graph import LAYERS, layer_of
from edgewright.runtime import OperatorUse, refusals

#: types of the schema that a manifest can name, too
_DTYPES: dict[str, DType] = {name.upper(): name for name in ("float32", "float16", "int8", "uint8", "int16", "int32", "int64")}


def operators(file: Path) -> list[OperatorUse]:
    """Read all operators, in the order they are executed; branches and loops are not followed.

    Raises:
        ExportError: the file is not a whole, valid .tflite file.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    inspect(file)  # verifies the structure, which what reads it below takes for granted
    kinds = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    types = {number: name for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
    with refusals("the operators of the file cannot be read", file, "export it again"):
        model: Any = flatbuffer_utils.read_model(str(file))
        graph, found, before = model.subgraphs[0], [], ""
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            kind = code.customCode.decode() if code.customCode else kinds[code.builtinCode]
            ends = [graph.tensors[index] for index in (*operator.inputs, *operator.outputs) if index != -1]
            layer = _layer(kind, ends, graph.tensors[operator.outputs[0]])
            before = layer or before
            varying = [tensor for tensor in ends if model.buffers[tensor.buffer].data is None]
            found.append(
                OperatorUse(
                    kind=kind,
                    layer=layer or (f"after {before}" if before else ""),
                    output=_name(graph.tensors[operator.outputs[0]]),
                    tensors=tuple(_spec(tensor, types[tensor.type]) for tensor in varying if types[tensor.type] in _DTYPES),
                    options=dict(vars(operator.builtinOptions)) if operator.builtinOptions else {},
                )
            )
    return found


def _layer(kind: str, ends: list[Any], output: Any) -> str:
    """Name the layer by its weights where it has some, else by its output."""
    return layer_of(_name(ends[1] if kind in LAYERS else output))


def _spec(tensor: Any, kind: str) -> TensorSpec:
    shape = tuple(int(axis) for axis in tensor.shape) if tensor.shape is not None else ()
    return TensorSpec(name=_name(tensor), shape=shape, dtype=_DTYPES[kind])


def _name(tensor: Any) -> str:
    return str(tensor.name.decode("utf-8"))
