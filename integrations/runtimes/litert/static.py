# SPDX-License-Identifier: Apache-2.0
"""Static quantization of .tflite files by AI Edge Quantizer: int8 weights, 8- or 16-bit activations, fallback.

Inputs and outputs are integers of the activations' width, also where a layer at the edge is kept in float: that is
what microcontrollers feed and read.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewright.config.file_passes import PtqW8A16
from edgewright.errors import ExportError
from edgewright.integrations.runtimes.litert import graph, recipe
from edgewright.integrations.runtimes.litert.file import inspect
from edgewright.integrations.runtimes.litert.ranges import Observed
from edgewright.integrations.runtimes.litert.session import open_session
from edgewright.quantize import answers, quantize, with_followers
from edgewright.runtime import Array, PassRequest, refusals


def to_static(request: PassRequest) -> dict[str, Any]:
    """Quantize with scales from the calibration inputs; inputs and outputs of the file become int8, or int16 for ptq_w8a16.

    Raises:
        ExportError: AEQ refused the file, quantized no weight, left its inputs or outputs in float, or no fallback is
            exact enough.
    """
    with refusals("AI Edge Quantizer cannot quantize", request.parent):
        chosen = quantize(request, _AeqQuantizer(request))
        if not graph.stored_as(graph.nodes(request.out), "INT8"):
            raise ExportError(
                "AI Edge Quantizer quantized no weight"
                + (": only with all layers in float does it agree enough" if chosen.get("kept_float") else ""),
                where=str(request.parent),
                to_do=f"leave {request.options.name} out of this target's ladder",
            )
    wanted = f"int{_bits(request.options)}"
    signature = inspect(request.out)
    for spec in (*signature.inputs, *signature.outputs):
        if spec.dtype != wanted:
            raise ExportError(
                f"{spec.dtype} input or output {spec.name!r} in a file that claims {wanted}",
                where=str(request.out),
                to_do="an operator at the edge of the model cannot be quantized: move it out of the model",
            )
    return chosen


class _AeqQuantizer:
    """AI Edge Quantizer on one float file."""

    def __init__(self, request: PassRequest) -> None:
        self._file, self._options = request.parent, request.options
        self._nodes = graph.nodes(request.parent)
        self._layers = graph.layers(self._nodes)
        self._observed = Observed(request.parent, self._recipe(), request.calibration)

    @property
    def layers(self) -> Sequence[str]:
        return tuple(self._layers.values())

    def write(self, calibration: str, kept: frozenset[str], out: Path) -> None:
        asked = self._recipe()
        names = with_followers(kept, self._layers, [node.operator for node in self._nodes])
        if names:
            exact = [node for node in self._nodes if node.operator.name in names]
            recipe.keep(asked, exact, self._options.fallback, self._options.per_channel)
        out.write_bytes(recipe.apply(asked, self._file, self._observed.ranges(calibration)))

    def run(self, file: Path, inputs: Array) -> Array:
        return answers(open_session(file, 1), inspect(file), inputs)

    def _recipe(self) -> Any:
        return recipe.static_recipe(_bits(self._options), self._options.per_channel)


def _bits(options: Any) -> Any:
    return 16 if isinstance(options, PtqW8A16) else 8
