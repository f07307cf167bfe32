# SPDX-License-Identifier: Apache-2.0
"""Static quantization for XNNPACK: int8 weights and activations, layers kept in float. Imports torch: import it in functions.

ExecuTorch quantizes a model's graph and lowers it afterwards, so the pass starts from the model the float file was
exported from (docs/adr/0007). ExecuTorch's quantizer says where; the scales are found by the project's own rules.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch.fx import Graph, Node

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.executorch import program
from edgewright.integrations.runtimes.executorch.lower import layers, lower, must_be_for_xnnpack
from edgewright.integrations.runtimes.executorch.ranges import Observed
from edgewright.integrations.runtimes.executorch.session import open_session
from edgewright.integrations.runtimes.executorch.signature import inspect
from edgewright.quantize import Operator, answers, quantize, with_followers
from edgewright.quiet import quietly
from edgewright.runtime import Array, PassRequest, refusals

with quietly():
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer as xnnpack
    from torchao.quantization.pt2e import MinMaxObserver, PerChannelMinMaxObserver
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import QuantizationSpec

_aten = torch.ops.aten
_WEIGHTED = {_aten.conv1d.default, _aten.conv2d.default, _aten.conv_transpose2d.input, _aten.linear.default}
#: of a channel of zeros: a smaller scale would drive its bias, stored in steps of it, out of int32. ExecuTorch's own bound,
#: 2**-12, is coarser than the weights of many a channel.
_SMALLEST_WEIGHT_SCALE = 2**-16
_ACTIVATION = QuantizationSpec(
    dtype=torch.int8,
    quant_min=-128,
    quant_max=127,
    qscheme=torch.per_tensor_affine,
    observer_or_fake_quant_ctr=MinMaxObserver,
)


def to_static(request: PassRequest) -> dict[str, Any]:
    """Quantize with scales from the calibration inputs; inputs and outputs of the file stay float32.

    Raises:
        ExportError: the float file is for another delegate than XNNPACK or came without its model, the toolkit refused, no
            layer was quantized, or no fallback is exact enough.
    """
    for backend in program.backends(program.read(request.parent)):
        must_be_for_xnnpack(backend, request.parent)
    if request.model is None:
        raise ExportError(
            "ExecuTorch quantizes a model and not its file, and the model was not given",
            where=str(request.parent),
            to_do="give PassRequest.model: what the file was exported from",
        )
    with quietly(), refusals("ExecuTorch cannot quantize", request.parent):
        chosen = quantize(request, _Pt2eQuantizer(request))
        if not layers(request.out)[0]:
            raise ExportError(
                "XNNPACK's quantizer quantized no layer"
                + (": only with all layers in float does it agree enough" if chosen.get("kept_float") else ""),
                where=str(request.parent),
                to_do=f"leave {request.options.name} out of this target's ladder",
            )
    return chosen


class _Pt2eQuantizer:
    """PyTorch's graph quantization (PT2E) of one model, with the annotations of ExecuTorch's XNNPACK quantizer."""

    def __init__(self, request: PassRequest) -> None:
        self._options, self._parent = request.options, request.parent
        self._example = torch.from_numpy(request.calibration[:1].copy())
        self._graph = torch.export.export(request.model, (self._example,)).module(check_guards=False)
        prepared = self._prepare(frozenset())
        self._layers = _layers(prepared.graph)
        self._observed = Observed(prepared, request.calibration)

    @property
    def layers(self) -> Sequence[str]:
        return tuple(self._layers.values())

    def write(self, calibration: str, kept: frozenset[str], out: Path) -> None:
        if kept and self._options.fallback == "int16":
            raise ExportError(
                "XNNPACK has no 16-bit activations to fall back to",
                where=str(self._parent),
                to_do="take fallback 'float' for this target",
            )
        prepared = self._prepare(kept)
        with torch.no_grad():
            prepared(self._example)  # observers of weights see them
        self._set_ranges(prepared, calibration)
        lower(convert_pt2e(prepared), self._example, out, "xnnpack")

    def run(self, file: Path, inputs: Array) -> Array:
        return answers(open_session(file, 1), inspect(file), inputs)

    def _prepare(self, kept: frozenset[str]) -> Any:
        quantizer = xnnpack.XNNPACKQuantizer().set_global(_config(self._options.per_channel))
        quantizer.set_filter_function(_is_quantized(kept))
        # batch normalization is folded before annotation; looking for it takes longer than all the rest
        quantizer.SUPPORTED_PATTERNS = [one for one in quantizer.SUPPORTED_PATTERNS if "_bn" not in one.name]
        return prepare_pt2e(deepcopy(self._graph), quantizer)

    def _set_ranges(self, prepared: Any, calibration: str) -> None:
        """Set the ranges of activations; one observer may watch several values, which then share a scale."""
        watched: dict[str, list[str]] = {}
        for node in prepared.graph.nodes:
            if node.op == "call_module" and node.args[0].op != "get_attr":
                watched.setdefault(str(node.target), []).append(node.args[0].name)
        for target, names in watched.items():
            observer, (low, high) = prepared.get_submodule(target), self._observed.range(names, calibration)
            observer.min_val, observer.max_val = torch.tensor(low), torch.tensor(high)


def _config(per_channel: bool) -> Any:
    config = xnnpack.get_symmetric_quantization_config(is_per_channel=per_channel)
    observer = PerChannelMinMaxObserver if per_channel else MinMaxObserver
    weight = replace(config.weight, observer_or_fake_quant_ctr=observer.with_args(eps=_SMALLEST_WEIGHT_SCALE))
    return replace(config, input_activation=_ACTIVATION, output_activation=_ACTIVATION, weight=weight)


def _layers(graph: Graph) -> dict[str, str]:
    """Node name to layer name, in order: the name its weight has in the model ('3.body.0')."""
    found = {node.name: _weight(node) for node in graph.nodes if node.target in _WEIGHTED}
    names = list(found.values())
    return {node: name if names.count(name) == 1 else f"{name} ({node})" for node, name in found.items()}


def _weight(node: Node) -> str:
    weight: Any = node.args[1]
    if weight.op == "call_module":  # its observer
        weight = weight.args[0]
    return str(weight.target).removesuffix(".weight")


def _is_quantized(kept: frozenset[str]) -> Callable[[Node], bool]:
    """Return whether a node is to be quantized: not a kept layer, nor what follows it up to the next layer."""

    @lru_cache(maxsize=1)
    def exact(graph: Graph) -> set[str]:
        operators = [Operator(node.name, tuple(one.name for one in node.all_input_nodes), (node.name,)) for node in graph.nodes]
        return with_followers(kept, _layers(graph), operators)

    return lambda node: node.name not in exact(node.graph)
