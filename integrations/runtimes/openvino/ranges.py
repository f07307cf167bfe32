# SPDX-License-Identifier: Apache-2.0
"""Activation ranges for files that NNCF has quantized: NNCF finds the places and the whole ranges, this clips them."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from edgewright.calibration import CLIPPING, Histogram
from edgewright.integrations.runtimes.openvino import graph
from edgewright.runtime import Array

_LEVELS = 256


class Observed:
    """Histograms of all float activations of a graph over the calibration inputs, taken when they are first asked for."""

    def __init__(self, model: Any, inputs: Array) -> None:
        self._model, self._inputs = model, inputs
        self._seen: dict[str, Histogram] | None = None

    def clip(self, quantized: Any, calibration: str) -> None:
        """Give each quantizer the range that a calibration finds; inputs keep their whole range, also in another shape."""
        if self._seen is None:
            self._seen = _observe(self._model, self._inputs)
        for quantizer in graph.activation_quantizers(quantized):
            source = quantizer.input_value(0)
            if not _is_input(source.get_node()) and (histogram := self._seen.get(_key(source))) is not None:
                _set_range(quantizer, *_with_zero(*CLIPPING[calibration](histogram)))


def share_constants(quantized: Any) -> None:
    """Let quantizers of activations take their two limits once instead of twice: a tenth of a small .xml."""
    for quantizer in graph.activation_quantizers(quantized):
        for taken, given in ((1, 3), (2, 4)):
            if np.array_equal(*(quantizer.input_value(port).get_node().data for port in (taken, given))):
                quantizer.input(given).replace_source_output(quantizer.input_value(taken))


def _observe(model: Any, inputs: Array) -> dict[str, Histogram]:
    import openvino

    copy = model.clone()
    values = [value for node in copy.get_ordered_ops() for value in node.outputs() if _is_activation(node, value)]
    names = [_key(value) for value in values]
    shown = openvino.Model(values, copy.get_parameters())
    compiled = openvino.Core().compile_model(shown, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    histograms = {name: Histogram() for name in names}
    for sample in inputs:
        taken: Iterable[Array] = compiled(np.ascontiguousarray(sample[None])).to_tuple()
        for name, seen in zip(names, taken, strict=True):
            histograms[name].add(seen)
    return histograms


def _is_activation(node: Any, value: Any) -> bool:
    computed = node.get_type_name() not in ("Constant", "Parameter", "Result")
    return computed and value.get_element_type().get_type_name() == "f32"


def _key(value: Any) -> str:
    return f"{value.get_node().get_friendly_name()}:{value.get_index()}"


def _is_input(node: Any) -> bool:
    while node.get_type_name() in graph.MOVES:
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == "Parameter")


def _with_zero(low: float, high: float) -> tuple[float, float]:
    """Widen a range so that 0 is one of its levels (Jacob et al., 2018, arXiv:1712.05877, section 2.1)."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(high - low, float(np.finfo(np.float32).tiny)) / (_LEVELS - 1)
    below = round(-low / scale)
    return -below * scale, (_LEVELS - 1 - below) * scale


def _set_range(quantizer: Any, low: float, high: float) -> None:
    from openvino import opset13

    for ports, limit in (((1, 3), low), ((2, 4), high)):
        constant = opset13.constant(np.full(quantizer.input(ports[0]).get_shape(), limit, np.float32))
        for port in ports:
            quantizer.input(port).replace_source_output(constant.output(0))
