# SPDX-License-Identifier: Apache-2.0
"""Reads what XNNPACK is handed in a .pte file: the graph of each delegated part, with the scales it computes with.

The payload is a header and a flatbuffer (backends/xnnpack/serialization of ExecuTorch). ExecuTorch's own flatc writes it
out as JSON, with six decimals: too few for a scale, which is therefore read from the flatbuffer itself.
"""

import json
import re
import tempfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from edgewright.integrations.runtimes.executorch.delegates import BACKENDS

Graph = dict[str, Any]
"""One delegated part: 'xnodes' and 'xvalues', as XNNPACK's schema names them."""

LAYERS = ("XNNConv2d", "XNNDepthwiseConv2d", "XNNConvTranspose2d", "XNNDepthwiseConvTranspose2d", "XNNFullyConnected")
"""Operators with weights."""

_MAGIC = b"XH00"
#: places of fields in the tables of the schema (4 and 2 for each field before), and numbers of its unions' members
_XVALUES, _UNION_TYPE, _UNION, _QUANTIZATION_TYPE, _QUANTIZATION, _SCALE = 8, 4, 6, 6, 8, 4
_QUANTIZED_VALUE, _PER_TENSOR = 2, 2


def graphs(program: Any, plan: Any) -> dict[int, Graph]:
    """Return the parts of a plan that are XNNPACK's, by the delegate's place in it."""
    return {
        place: _graph(program.backend_delegate_data[delegate.processed.index].data)
        for place, delegate in enumerate(plan.delegates)
        if delegate.id == BACKENDS["xnnpack"]
    }


def values(graph: Graph) -> dict[int, dict[str, Any]]:
    """Return the values of a part by id; quantized ones have 'scale', and 'zero_point' where it is one for the tensor."""
    found = {}
    for value in graph["xvalues"]:
        union = value["xvalue_union"]
        tensor, quantization = union.get("tensor_value", union), union.get("quant_params", {})
        found[tensor["id_out"]] = {**tensor, **quantization}
    return found


def integer_layers(graph: Graph) -> tuple[list[str], list[str]]:
    """Return the operators with weights that compute in integers, and those that do not, each 'operator number'."""
    known = values(graph)
    integer: list[str] = []
    others: list[str] = []
    for number, node in enumerate(graph["xnodes"]):
        if node["xnode_union_type"] in LAYERS:
            union = node["xnode_union"]
            quantized = all("scale" in known[union[end]] for end in ("input1_id", "filter_id", "output_id"))
            (integer if quantized else others).append(f"{node['xnode_union_type']} {number}")
    return integer, others


def step(program: Any, plan: Any, output: int) -> float | None:
    """Return the scale of the integers that a float output of the plan is made from; None where it is made otherwise.

    Args:
        program: what ``program.read`` returns.
        plan: its execution plan.
        output: place of the output among the plan's values.
    """
    calls = [one.instr_args for one in plan.chains[0].instructions if type(one.instr_args).__name__ == "DelegateCall"]
    maker = next((call for call in reversed(calls) if output in call.args), None)
    if maker is None or plan.delegates[maker.delegate_index].id != BACKENDS["xnnpack"]:
        return None
    graph = graphs(program, plan)[maker.delegate_index]
    known, external = values(graph), maker.args.index(output)
    for node in graph["xnodes"]:
        union = node["xnode_union"]
        if node["xnode_union_type"] == "XNNConvert" and known[union["output_id"]]["external_id"] == external:
            scale = known[union["input_id"]].get("scale")
            return float(scale) if isinstance(scale, int | float) else None
    return None


def _graph(data: bytes) -> Graph:
    import executorch.backends.xnnpack.serialization as schemas
    from executorch.exir._serialize._flatbuffer import _flatc_decompile

    if data[4:8] != _MAGIC:
        raise ValueError("its XNNPACK part is not one: the header is missing")
    at, size = (int.from_bytes(data[start:end], "little") for start, end in ((10, 14), (14, 18)))
    with tempfile.TemporaryDirectory(prefix="edgewright-xnnpack-") as folder, as_file(files(schemas) / "schema.fbs") as schema:
        flat = Path(folder) / "graph.bin"
        flat.write_bytes(data[at : at + size])
        _flatc_decompile(folder, str(schema), str(flat))
        text = flat.with_suffix(".json").read_text(encoding="utf-8")
    graph: Graph = json.loads(re.sub(r": (-?)inf\b", r": \1Infinity", text))  # flatc's word is not JSON's
    for value, scale in zip(graph["xvalues"], _scales(data[at : at + size]), strict=True):
        if scale is not None:
            value["xvalue_union"]["quant_params"]["scale"] = scale
    return graph


def _scales(flat: bytes) -> list[float | None]:
    """Return the scale of each value of a graph, exactly as it is stored; None where there is not one for the whole tensor."""
    from flatbuffers import number_types
    from flatbuffers.table import Table

    def field(table: Any, place: int) -> int:
        return int(table.Pos + table.Offset(place))

    def child(table: Any, place: int) -> Any:
        return Table(flat, table.Indirect(field(table, place)))

    root = Table(flat, int.from_bytes(flat[:4], "little"))
    start, count = root.Vector(root.Offset(_XVALUES)), root.VectorLen(root.Offset(_XVALUES))
    scales: list[float | None] = []
    for number in range(count):
        value = Table(flat, root.Indirect(start + 4 * number))
        scales.append(None)
        if value.Get(number_types.Uint8Flags, field(value, _UNION_TYPE)) == _QUANTIZED_VALUE:
            tensor = child(value, _UNION)
            if tensor.Get(number_types.Uint8Flags, field(tensor, _QUANTIZATION_TYPE)) == _PER_TENSOR:
                scales[-1] = float(child(tensor, _QUANTIZATION).GetSlot(_SCALE, 0.0, number_types.Float32Flags))
    return scales
