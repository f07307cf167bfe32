# SPDX-License-Identifier: Apache-2.0
"""Activation ranges of a torch graph over the calibration inputs. Imports torch: import it in functions."""

from collections.abc import Iterable
from typing import Any

import torch
from torch.fx import GraphModule, Interpreter, Node

from edgewright.calibration import CLIPPING, Histogram
from edgewright.runtime import Array

_aten = torch.ops.aten
_MOVES = {
    *(_aten.view.default, _aten.reshape.default, _aten.flatten.using_ints, _aten.unflatten.int, _aten.dropout.default),
    *(_aten.squeeze.dim, _aten.squeeze.dims, _aten.squeeze.default, _aten.unsqueeze.default, _aten.permute.default),
    *(_aten.transpose.int, _aten.clone.default, _aten.contiguous.default),
}


class Observed:
    """Histograms of all float activations of a graph over the calibration inputs."""

    def __init__(self, graph: GraphModule, inputs: Array) -> None:
        watcher = _Watcher(graph)
        with torch.no_grad():
            for sample in inputs:
                watcher.run(torch.from_numpy(sample[None]))
        self._seen, self._whole = watcher.seen, _ends(graph)

    def range(self, names: Iterable[str], calibration: str) -> tuple[float, float]:
        """Return the range of the values that share a scale, by the names of their nodes.

        The graph's input and output keep the whole of what was seen, and so do the same values in another shape:
        clipping those would change what the file takes and answers, which no range inside can make good.
        """
        ranges = []
        for name in names:
            seen, clip = self._seen[name], CLIPPING.get(calibration)
            ranges.append((seen.low, seen.high) if clip is None or name in self._whole else clip(seen))
        return min(low for low, _ in ranges), max(high for _, high in ranges)


class _Watcher(Interpreter):
    """Runs a graph and counts the values of each node."""

    def __init__(self, graph: GraphModule) -> None:
        super().__init__(graph)
        self.seen: dict[str, Histogram] = {}

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        if n.op in ("placeholder", "call_function") and isinstance(value, torch.Tensor) and value.is_floating_point():
            self.seen.setdefault(n.name, Histogram()).add(value.numpy())
        return value


def _ends(graph: GraphModule) -> set[str]:
    """Names of the nodes that hold the graph's input or output, also in another shape or order."""
    nodes = [node for node in graph.graph.nodes if node.op != "call_module"]
    found = {node.name for node in nodes if node.op == "placeholder"}
    found |= {_behind(source).name for node in nodes if node.op == "output" for source in node.all_input_nodes}
    for node in nodes:
        if node.target in _MOVES and _behind(node.args[0]).name in found:
            found.add(node.name)
    for node in reversed(nodes):
        if node.target in _MOVES and node.name in found:
            found.add(_behind(node.args[0]).name)
    return found


def _behind(node: Any) -> Any:
    """The node that an observer watches; any other node itself."""
    return node.args[0] if node.op == "call_module" else node
