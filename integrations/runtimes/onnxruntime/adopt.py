# SPDX-License-Identifier: Apache-2.0
"""Take over a float ONNX file that somebody else exported, so that passes can work on it."""

from pathlib import Path
from typing import Any

from edgewright.integrations.runtimes.onnxruntime.file import write
from edgewright.runtime import refusals

OLDEST = 13
"""Opset since which a QuantizeLinear can have a scale a channel (onnx.ai/onnx/operators/onnx__QuantizeLinear.html)."""


def adopt(file: Path, out: Path) -> None:
    """Write the file anew: weights inside of it, each node named, and of an older opset brought to 13.

    Raises:
        ExportError: an operator cannot be brought to that opset.
    """
    import onnx
    from onnx import version_converter

    with refusals(f"the file cannot be brought to opset {OLDEST}", file, "export it again with a newer opset"):
        model = onnx.load(str(file))
        if _opset(model) < OLDEST:
            model = version_converter.convert_version(model, OLDEST)
        _name_nodes(model.graph)
        write(model, out)


def _opset(model: Any) -> int:
    return int(next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx")))


def _name_nodes(graph: Any) -> None:
    """Passes speak of nodes by their names; converters may leave them out, or give one twice."""
    taken: set[str] = set()
    for number, node in enumerate(graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{number}"
        taken.add(node.name)
