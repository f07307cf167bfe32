# SPDX-License-Identifier: Apache-2.0
"""TFLite files with state, written by hand: one operator that remembers (SVDF), and a variable that sums what it has seen."""

from pathlib import Path
from typing import Any

import numpy as np

FEATURES, CLASSES = 16, 3
_MEMORY = 4


class _File:
    """A .tflite file in the making; the first buffer is the empty one that tensors without data share."""

    def __init__(self) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.schema: Any = schema
        self.model = schema.ModelT()
        self.model.version, self.model.subgraphs, self.model.operatorCodes = 3, [], []
        self.model.buffers = [schema.BufferT()]

    def subgraph(self) -> Any:
        graph = self.schema.SubGraphT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [], []
        self.model.subgraphs.append(graph)
        return graph

    def tensor(self, graph: Any, name: str, shape: tuple[int, ...], data: Any = None, kind: str = "FLOAT32") -> int:
        made = self.schema.TensorT()
        made.name, made.shape, made.type = name, list(shape), getattr(self.schema.TensorType, kind)
        made.buffer = 0
        if data is not None:
            buffer = self.schema.BufferT()
            buffer.data = list(np.asarray(data, np.float32).tobytes())
            made.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    def operator(self, graph: Any, kind: str, inputs: list[int], outputs: list[int], options: str, **values: Any) -> None:
        code, made = self.schema.OperatorCodeT(), self.schema.OperatorT()
        code.builtinCode = getattr(self.schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        self.model.operatorCodes.append(code)
        made.opcodeIndex, made.inputs, made.outputs = len(self.model.operatorCodes) - 1, inputs, outputs
        made.builtinOptionsType = getattr(self.schema.BuiltinOptions, options)
        made.builtinOptions = getattr(self.schema, f"{options}T")()
        for name, value in values.items():
            setattr(made.builtinOptions, name, value)
        graph.operators.append(made)

    def write(self, path: Path) -> None:
        import flatbuffers

        builder = flatbuffers.Builder(4096)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))


def svdf_file(path: Path) -> None:
    """A filter over the last four samples, as keyword spotting has them; its memory is a tensor of the operator."""
    random, file = np.random.default_rng(0), _File()
    graph = file.subgraph()
    given = file.tensor(graph, "input", (1, FEATURES))
    feature = file.tensor(graph, "feature", (CLASSES, FEATURES), random.normal(size=(CLASSES, FEATURES)))
    time = file.tensor(graph, "time", (CLASSES, _MEMORY), random.normal(size=(CLASSES, _MEMORY)))
    bias = file.tensor(graph, "bias", (CLASSES,), np.zeros(CLASSES))
    state = file.tensor(graph, "state", (1, _MEMORY * CLASSES))
    graph.tensors[state].isVariable = True
    answer = file.tensor(graph, "output", (1, CLASSES))
    file.operator(graph, "SVDF", [given, feature, time, bias, state], [answer], "SVDFOptions", rank=1)
    graph.inputs, graph.outputs = [given], [answer]
    file.write(path)


def variable_file(path: Path) -> None:
    """A linear layer, added to a variable, as converters write state that a model assigns; its first value is zero."""
    file = _File()
    graph, start = file.subgraph(), file.subgraph()
    given = file.tensor(graph, "input", (1, FEATURES))
    weight = np.random.default_rng(0).normal(size=(CLASSES, FEATURES))
    layer = file.tensor(graph, "weight", (CLASSES, FEATURES), weight)
    bias = file.tensor(graph, "bias", (CLASSES,), np.zeros(CLASSES))
    fresh, kept, answer = (file.tensor(graph, name, (1, CLASSES)) for name in ("fresh", "kept", "output"))
    zeros = file.tensor(start, "zeros", (1, CLASSES), np.zeros((1, CLASSES)))
    named = {"container": "", "sharedName": "sum"}
    handles = [file.tensor(each, "handle", (), kind="RESOURCE") for each in (graph, start)]
    file.operator(start, "VAR_HANDLE", [], [handles[1]], "VarHandleOptions", **named)
    file.operator(start, "ASSIGN_VARIABLE", [handles[1], zeros], [], "AssignVariableOptions")
    file.operator(graph, "CALL_ONCE", [], [], "CallOnceOptions", initSubgraphIndex=1)
    file.operator(graph, "VAR_HANDLE", [], [handles[0]], "VarHandleOptions", **named)
    file.operator(graph, "FULLY_CONNECTED", [given, layer, bias], [fresh], "FullyConnectedOptions")
    file.operator(graph, "READ_VARIABLE", [handles[0]], [kept], "ReadVariableOptions")
    file.operator(graph, "ADD", [fresh, kept], [answer], "AddOptions")
    file.operator(graph, "ASSIGN_VARIABLE", [handles[0], answer], [], "AssignVariableOptions")
    graph.inputs, graph.outputs = [given], [answer]
    file.write(path)
