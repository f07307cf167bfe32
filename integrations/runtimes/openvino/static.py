# SPDX-License-Identifier: Apache-2.0
"""Static quantization of IR files by NNCF: int8 weights, asymmetric 8-bit activations, fallback to float.

NNCF says where quantizers go: at the inputs of layers. Its default ranges average over samples and it corrects biases;
on a small residual network the first made the error 6 times, the second 8 times as large as whole ranges alone.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.openvino import graph
from edgewright.integrations.runtimes.openvino.file import inspect, write
from edgewright.integrations.runtimes.openvino.ranges import Observed, share_constants
from edgewright.integrations.runtimes.openvino.session import open_session, precision, read
from edgewright.quantize import answers, quantize, with_followers
from edgewright.runtime import Array, PassRequest, refusals


def to_static(request: PassRequest) -> dict[str, Any]:
    """Quantize with scales from the calibration inputs; inputs and outputs of the file stay float32.

    Raises:
        ExportError: NNCF refused the file, found no weight in it to quantize, or no fallback is exact enough; or 16-bit
            activations are asked for.
    """
    if request.options.fallback == "int16":
        raise ExportError(
            "OpenVINO has no 16-bit activations to fall back to",
            where=f"{request.options.name}: fallback",
            to_do="take fallback: float, or leave this rung out of this target's ladder",
        )
    with refusals("NNCF cannot quantize", request.parent):
        chosen = quantize(request, _NncfQuantizer(request))
        if not graph.stored_as(read(request.out), "i8", "u8"):
            raise ExportError(
                "NNCF quantized no weight"
                + (": only with all layers in float does it agree enough" if chosen.get("kept_float") else ""),
                where=str(request.parent),
                to_do=f"leave {request.options.name} out of this target's ladder",
            )
    return chosen


class _NncfQuantizer:
    """NNCF on one float file."""

    def __init__(self, request: PassRequest) -> None:
        self._options, self._inputs = request.options, request.calibration
        self._model = read(request.parent)
        self._names = {name: name for name in graph.layers(self._model)}
        self._observed = Observed(self._model, self._inputs)

    @property
    def layers(self) -> Sequence[str]:
        return tuple(self._names)

    def write(self, calibration: str, kept: frozenset[str], out: Path) -> None:
        import nncf
        from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, QuantizationParameters
        from nncf.quantization.range_estimator import RangeEstimatorParametersSet

        nncf.set_log_level(logging.ERROR)
        quantized = nncf.quantize(
            self._model,
            nncf.Dataset([np.ascontiguousarray(sample[None]) for sample in self._inputs]),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(self._inputs),
            ignored_scope=nncf.IgnoredScope(names=sorted(with_followers(kept, self._names, graph.operators(self._model)))),
            advanced_parameters=AdvancedQuantizationParameters(
                activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
                weights_quantization_params=QuantizationParameters(per_channel=self._options.per_channel),
                disable_bias_correction=True,
            ),
        )
        if calibration != "minmax":
            self._observed.clip(quantized, calibration)
        share_constants(quantized)
        write(quantized, out, precision=precision(self._model))

    def run(self, file: Path, inputs: Array) -> Array:
        return answers(open_session(file, 1), inspect(file), inputs)
