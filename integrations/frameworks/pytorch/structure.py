# SPDX-License-Identifier: Apache-2.0
"""The structure of a compressed model: described in facts, and built again from them without any pickled code.

What an architecture's function returns is changed layer by layer: to another size, or into several layers in sequence.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
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
        if list(before.children()) or not before.state_dict():
            continue
        after = model.get_submodule(name)
        parts = list(after.children()) or [after]
        if type(after) is not type(before) or _shapes(after) != _shapes(before):
            changed[name] = tuple(_spec(part, name) for part in parts)
    return changed


def rebuild(model: nn.Module, layers: Mapping[str, tuple[LayerSpec, ...]]) -> nn.Module:
    """Change layers of a freshly built model, in place, to those described; their weights are still to be loaded.

    A layer that only has another size is resized and keeps all else that it is: its padding mode, its epsilon, its class.
    """
    for name, specs in layers.items():
        there = model.get_submodule(name)
        if len(specs) == 1 and kind_of(there) == specs[0].kind:
            _resize(there, specs[0])
        else:
            made = [_layer(spec) for spec in specs]
            model.set_submodule(name, made[0] if len(made) == 1 else nn.Sequential(*made))
    return model


def kind_of(layer: object) -> str | None:
    """The kind of a layer in a description; None for one that cannot be described, so that no pass may change it."""
    return next((kind for kind, known in _KINDS.items() if isinstance(layer, known)), None)


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


_KINDS: dict[Any, type[nn.Module]] = {
    "conv1d": nn.Conv1d,
    "conv2d": nn.Conv2d,
    "convtranspose2d": nn.ConvTranspose2d,
    "linear": nn.Linear,
    "batchnorm1d": nn.BatchNorm1d,
    "batchnorm2d": nn.BatchNorm2d,
    "layernorm": nn.LayerNorm,
    "groupnorm": nn.GroupNorm,
    "prelu": nn.PReLU,
}
_CONV = {"kernel": "kernel_size", "stride": "stride", "padding": "padding", "dilation": "dilation"}


def _spec(layer: nn.Module, name: str) -> LayerSpec:
    kind: Any = kind_of(layer)
    if isinstance(layer, _ConvNd) and kind is not None:
        values = {key: getattr(layer, source) for key, source in _CONV.items()}
        # 'same' stays with the layer itself, which is only resized
        sizes = {key: () if isinstance(value, str) else tuple(value) for key, value in values.items()}
        channels, groups = (layer.in_channels, layer.out_channels), layer.groups
        return LayerSpec(
            kind=kind, inputs=channels[0], outputs=channels[1], groups=groups, bias=layer.bias is not None, **sizes
        )
    if isinstance(layer, nn.Linear):
        return LayerSpec(kind=kind, inputs=layer.in_features, outputs=layer.out_features, bias=layer.bias is not None)
    if kind is not None:
        size = _size(layer)
        return LayerSpec(kind=kind, inputs=size, outputs=size)
    raise ModelError(
        f"a layer of type {type(layer).__name__} was changed, and cannot be described",
        where=f"layer {name!r}",
        to_do="use convolutions, Linear, PReLU and batch, layer or group normalization, or leave this pass out",
    )


def _size(layer: nn.Module) -> int:
    """Channels of a layer that has as many outputs as inputs."""
    if isinstance(layer, nn.LayerNorm):
        return layer.normalized_shape[-1]
    names = ("num_features", "num_channels", "num_parameters")
    return next(int(getattr(layer, name)) for name in names if hasattr(layer, name))


def _layer(spec: LayerSpec) -> nn.Module:
    if spec.kind == "linear":
        return nn.Linear(spec.inputs, spec.outputs, bias=spec.bias)
    if spec.kind in ("conv1d", "conv2d"):
        sizes: dict[str, Any] = {source: getattr(spec, key) for key, source in _CONV.items()}
        return _KINDS[spec.kind](spec.inputs, spec.outputs, groups=spec.groups, bias=spec.bias, **sizes)
    return _KINDS[spec.kind](spec.outputs)


def _resize(layer: nn.Module, spec: LayerSpec) -> None:
    """Give a layer room for weights of another size, in place."""
    after = {"num_features": spec.outputs, "num_channels": spec.outputs, "num_parameters": spec.outputs}
    after |= {"in_channels": spec.inputs, "out_channels": spec.outputs, "groups": spec.groups}
    after |= {"in_features": spec.inputs, "out_features": spec.outputs}
    for name, value in after.items():
        if name in vars(layer):
            setattr(layer, name, value)
    shape: tuple[int, ...] = (spec.outputs,)
    if isinstance(layer, nn.LayerNorm):
        layer.normalized_shape = shape = (*layer.normalized_shape[:-1], spec.outputs)
    _make_room(layer, ("bias",), shape)
    _make_room(layer, ("running_mean", "running_var"), (spec.outputs,))
    if isinstance(layer, _ConvNd):
        channels = (spec.inputs, spec.outputs) if layer.transposed else (spec.outputs, spec.inputs)
        shape = (channels[0], channels[1] // spec.groups, *layer.kernel_size)
    elif isinstance(layer, nn.Linear):
        shape = (spec.outputs, spec.inputs)
    _make_room(layer, ("weight",), shape)


def _make_room(layer: nn.Module, names: tuple[str, ...], shape: tuple[int, ...]) -> None:
    for name in names:
        old = getattr(layer, name, None)
        if isinstance(old, nn.Parameter):
            setattr(layer, name, nn.Parameter(old.new_zeros(shape), requires_grad=old.requires_grad))
        elif isinstance(old, Tensor):
            setattr(layer, name, old.new_zeros(shape))
