# SPDX-License-Identifier: Apache-2.0
"""Where a graph is quantized for int8 kernels: 8-bit activations a tensor, int8 weights a channel.

A quantizer of our own: torchao ships XNNPACK's only among its tests and as deprecated. It also leaves a reshaped input in
float, which no microcontroller takes, and averages ranges of weights over steps, which clips weights that have grown.
"""

from operator import getitem
from typing import Any

import torch
from torch.fx import GraphModule

from edgewright.errors import ModelError
from edgewright.quiet import quietly

with quietly():
    from torchao.quantization.pt2e import FakeQuantize, MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationSpec, Quantizer, SharedQuantizationSpec

_aten = torch.ops.aten
_WEIGHTED = {_aten.conv1d.default, _aten.conv2d.default, _aten.linear.default}
_COMBINING = {_aten.add.Tensor, _aten.add_.Tensor, _aten.mul.Tensor, _aten.mul_.Tensor}
_CLAMPS = {_aten.relu.default, _aten.relu_.default, _aten.hardtanh.default, _aten.hardtanh_.default}
_CLAMPS |= {_aten.relu6.default, _aten.relu6_.default, _aten.clamp.default, _aten.clamp_min.default}
_AVERAGING = {_aten.mean.dim}
#: operators whose integer kernels give their output the scale of their input
_KEEPING_SCALE = {
    *(_aten.view.default, _aten.reshape.default, _aten.flatten.using_ints, _aten.unflatten.int),
    *(_aten.squeeze.dim, _aten.squeeze.dims, _aten.squeeze.default, _aten.unsqueeze.default),
    *(_aten.permute.default, _aten.transpose.int, _aten.slice.Tensor, _aten.pad.default),
    *(_aten.max_pool2d.default, _aten.avg_pool2d.default, _aten.adaptive_avg_pool2d.default),
    *(_aten.clone.default, _aten.contiguous.default),
}

_DROPOUTS = {_aten.dropout.default, _aten.dropout_.default}

_INT8 = (-128, 127)
_SYMMETRIC_INT8 = (-127, 127)
_AVERAGING_CONSTANT = 0.01
_SMALLEST_WEIGHT_SCALE = 2**-16
"""Of a channel that is zero throughout: a smaller scale would drive its bias, stored in steps of it, out of int32."""

ACTIVATION = QuantizationSpec(
    dtype=torch.int8,
    quant_min=_INT8[0],
    quant_max=_INT8[1],
    qscheme=torch.per_tensor_affine,
    # not the fused kernel: it rounds zero points and bounds scales otherwise than the conversion does, unsaid
    observer_or_fake_quant_ctr=FakeQuantize.with_args(
        observer=MovingAverageMinMaxObserver, averaging_constant=_AVERAGING_CONSTANT
    ),
)
WEIGHT = QuantizationSpec(
    dtype=torch.int8,
    quant_min=_SYMMETRIC_INT8[0],
    quant_max=_SYMMETRIC_INT8[1],
    qscheme=torch.per_channel_symmetric,
    ch_axis=0,
    observer_or_fake_quant_ctr=FakeQuantize.with_args(
        observer=MovingAveragePerChannelMinMaxObserver, averaging_constant=1, eps=_SMALLEST_WEIGHT_SCALE
    ),
)


class Int8Quantizer(Quantizer):  # type: ignore[misc]  # torchao has no types
    """Quantizes a whole graph, or says which layer would stay in float."""

    def transform_for_annotation(self, model: GraphModule) -> GraphModule:
        """Take dropout out: in training it scales activations up, and the scales it would leave behind are for no one else."""
        for node in model.graph.nodes:
            if node.target in _DROPOUTS:
                node.replace_all_uses_with(node.args[0])
                model.graph.erase_node(node)
        return model

    def annotate(self, model: GraphModule) -> GraphModule:
        """Note on each operator how its inputs and its output are quantized."""
        for node in model.graph.nodes:
            if node.op == "placeholder":
                node.meta["quantization_annotation"] = QuantizationAnnotation(output_qspec=ACTIVATION, _annotated=True)
            elif node.op == "call_function":
                self._annotate(node)
        return model

    def validate(self, model: GraphModule) -> None:
        """Make sure that no operator on activations was left out.

        Raises:
            ModelError: one was; operator and layer are named.
        """
        for node in model.graph.nodes:
            if node.op == "call_function" and _is_float(node) and "quantization_annotation" not in node.meta:
                raise ModelError(
                    f"{str(node.target).removesuffix('.default')} has no place in a graph of integers",
                    where=f"layer {layer_of(node)!r}",
                    to_do="use convolutions (with batch normalization behind them), linear layers, ReLU, pooling, "
                    "additions and reshapes; or take ptq_w8a8, which leaves a single layer in float",
                )

    def _annotate(self, node: Any) -> None:
        if node.target in _WEIGHTED:
            source, weight = node.args[:2]
            _annotate_chain(node, {source: ACTIVATION, weight: WEIGHT})
        elif node.target in _COMBINING and all(isinstance(source, torch.fx.Node) for source in node.args[:2]):
            _annotate_chain(node, dict.fromkeys(node.args[:2], ACTIVATION))
        elif "quantization_annotation" in node.meta:
            return
        elif node.target in _CLAMPS | _AVERAGING:
            _annotate_chain(node, {node.args[0]: ACTIVATION})
        elif node.target in _KEEPING_SCALE:
            shared = SharedQuantizationSpec(node.args[0])
            node.meta["quantization_annotation"] = QuantizationAnnotation({node.args[0]: shared}, shared, _annotated=True)
        elif node.target == _aten.cat.default:
            first, *others = node.args[0]
            shared = SharedQuantizationSpec((first, node))
            inputs = {first: ACTIVATION} | {other: shared for other in others if other is not first}
            node.meta["quantization_annotation"] = QuantizationAnnotation(inputs, shared, _annotated=True)


def layer_of(node: Any) -> str:
    """Name of the module that a node of an exported graph comes from; the operator's own where there is none."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return (stack[-1][0] if stack else "") or node.name


def is_per_tensor(rounding: Any) -> bool:
    """Whether a FakeQuantize has one scale for its whole tensor, as activations have."""
    return bool(rounding.qscheme == ACTIVATION.qscheme)


def _annotate_chain(first: Any, inputs: dict[Any, QuantizationSpec]) -> None:
    """Quantize what goes into ``first`` and what comes out of the chain that integer kernels compute in one go with it."""
    users = list(first.users)
    clamped = len(users) == 1 and users[0].target in _CLAMPS and first.target not in _AVERAGING | _CLAMPS
    chain = [first, users[0]] if clamped else [first]
    for node in chain:
        node.meta["quantization_annotation"] = QuantizationAnnotation(_annotated=True)
    first.meta["quantization_annotation"].input_qspec_map = inputs
    chain[-1].meta["quantization_annotation"].output_qspec = ACTIVATION


def _is_float(node: Any) -> bool:
    value = node.meta.get("val")
    return node.target is not getitem and isinstance(value, torch.Tensor) and value.is_floating_point()
