# SPDX-License-Identifier: Apache-2.0
"""The structure of a compressed model: described in facts, and built again from them without any pickled code.

What an architecture's function returns is changed layer by layer: to another size, or into several layers in sequence.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edgewright.artifact import LayerSpec
from edgewright.errors import ModelError

Layers = dict[str, tuple[LayerSpec, ...]]


def describe(model: nn.Module, original: nn.Module) -> Layers:
    """Return the layers of ``model`` that differ from those of ``original``, by module name.

    Raises:
        ModelError: a layer differs whose kind cannot be described.
    """
    changed: Layers = {}
    for name, before in original.named_modules():
        if list(before.children()) or not list(before.parameters()):
            continue
        after = model.get_submodule(name)
        parts = list(after.children()) or [after]
        if type(after) is not type(before) or _shapes(after) != _shapes(before):
            changed[name] = tuple(_spec(part, name) for part in parts)
    return changed


def rebuild(model: nn.Module, layers: Mapping[str, tuple[LayerSpec, ...]]) -> nn.Module:
    """Replace layers of a freshly built model, in place, by those described; their weights are still to be loaded."""
    for name, specs in layers.items():
        made = [_layer(spec) for spec in specs]
        model.set_submodule(name, made[0] if len(made) == 1 else nn.Sequential(*made))
    return model


def count_parameters(model: nn.Module) -> int:
    """Number of weights, biases and normalization factors."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: nn.Module, sample: tuple[int, ...]) -> int:
    """Multiply-accumulates of one sample, in convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, *sample))
    return int(counter.get_total_flops()) // 2


def share_of_zeros(model: nn.Module) -> float:
    """Share of the weights of convolutions and linear layers that are exactly zero."""
    weights = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    total = sum(weight.numel() for weight in weights)
    return sum(int((weight == 0).sum()) for weight in weights) / total if total else 0.0


def _shapes(layer: nn.Module) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in layer.state_dict().items()}


def _spec(layer: nn.Module, name: str) -> LayerSpec:
    if isinstance(layer, nn.Conv2d):
        sizes = {key: tuple(getattr(layer, source)) for key, source in _CONV.items()}
        return LayerSpec(
            kind="conv2d",
            inputs=layer.in_channels,
            outputs=layer.out_channels,
            groups=layer.groups,
            bias=layer.bias is not None,
            **sizes,
        )
    if isinstance(layer, nn.Linear):
        return LayerSpec(kind="linear", inputs=layer.in_features, outputs=layer.out_features, bias=layer.bias is not None)
    if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
        return LayerSpec(
            kind="batchnorm2d" if isinstance(layer, nn.BatchNorm2d) else "batchnorm1d",
            inputs=layer.num_features,
            outputs=layer.num_features,
        )
    raise ModelError(
        f"a layer of type {type(layer).__name__} was changed, and cannot be described",
        where=f"layer {name!r}",
        to_do="use Conv2d, Linear and BatchNorm layers, or leave this pass out",
    )


_CONV = {"kernel": "kernel_size", "stride": "stride", "padding": "padding", "dilation": "dilation"}


def _layer(spec: LayerSpec) -> nn.Module:
    if spec.kind == "conv2d":
        sizes: dict[str, Any] = {source: getattr(spec, key) for key, source in _CONV.items()}
        return nn.Conv2d(spec.inputs, spec.outputs, groups=spec.groups, bias=spec.bias, **sizes)
    if spec.kind == "linear":
        return nn.Linear(spec.inputs, spec.outputs, bias=spec.bias)
    return (nn.BatchNorm2d if spec.kind == "batchnorm2d" else nn.BatchNorm1d)(spec.outputs)
