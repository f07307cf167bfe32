# SPDX-License-Identifier: Apache-2.0
"""One layer's decomposition: the ranks it could have, with cost and loss, and the layers that then replace it.

Linear layers and 1x1 convolutions by SVD, spatial convolutions by Tucker-2 or CP; grouped convolutions are not taken.
"""

from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgewright.integrations.frameworks.pytorch.passes import lowrank
from edgewright.integrations.frameworks.pytorch.passes.ranks import Options

Array = NDArray[Any]
Method = Literal["tucker2", "cp"]
Convolution = nn.Conv1d | nn.Conv2d
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
_CP_LEVELS = 8
"""CP ranks are looked at in eighths of the rank at which nothing is saved: each has to be fitted."""


@dataclass
class Positions:
    """How often a kernel is applied for one sample: at input positions, at output positions, or halfway between."""

    given: int = 0
    halfway: int = 0
    """Where a convolution has gone along the height, but not yet along the width."""
    made: int = 0

    def count(self, layer: nn.Module, given: Tensor, made: Tensor) -> None:
        """Add one call of the layer with a batch of one sample."""
        if isinstance(layer, nn.Linear):
            calls = made.numel() // layer.out_features
            given_here = halfway = calls
        else:
            calls, given_here = prod(made.shape[2:]), prod(given.shape[2:])
            halfway = prod(made.shape[2:-1]) * given.shape[-1]
        self.given, self.halfway, self.made = self.given + given_here, self.halfway + halfway, self.made + calls


def is_taken(layer: nn.Module) -> bool:
    """Whether the layer is of a kind that is decomposed: linear, or a convolution without groups, padded evenly with zeros."""
    if type(layer) is nn.Conv1d or type(layer) is nn.Conv2d:
        return layer.groups == 1 and layer.padding_mode == "zeros" and _padding(layer) is not None
    return type(layer) is nn.Linear


def _padding(layer: Convolution) -> tuple[int, ...] | None:
    """What is added on each side, an axis each; None where 'same' adds more on one side than on the other."""
    if layer.padding == "valid":
        return tuple(0 for _ in layer.kernel_size)
    if isinstance(layer.padding, tuple):
        return layer.padding
    added = [step * (size - 1) for step, size in zip(layer.dilation, layer.kernel_size, strict=True)]
    return None if any(both % 2 for both in added) else tuple(both // 2 for both in added)


def costs(layer: nn.Module, at: Positions, method: Method) -> tuple[int, Array, Array]:
    """Return what a layer that is taken computes, the ranks (K, numbers a rank) it could have, and what it would compute."""
    kernel = _kernel(layer)
    whole = kernel.size * at.made
    if kernel.ndim == 2:
        ranks = np.arange(1, min(kernel.shape) + 1)
        return whole, ranks[:, None], ranks * sum(kernel.shape) * at.made
    outputs, inputs, height, width = kernel.shape
    if method == "tucker2":
        ranks = _pairs(_mode_ranks(outputs, inputs * height * width), _mode_ranks(inputs, outputs * height * width))
        of_out, of_in = ranks.T
        first = np.where(of_in < inputs, at.given * inputs * of_in, 0)
        last = np.where(of_out < outputs, at.made * of_out * outputs, 0)
        return whole, ranks, first + at.made * of_out * of_in * height * width + last
    between = at.halfway * height + at.made * width if min(height, width) > 1 else at.made * max(height, width)
    each = at.given * inputs + between + at.made * outputs
    ranks = np.unique(np.arange(1, _CP_LEVELS) * whole // (_CP_LEVELS * max(each, 1)))
    return whole, ranks[ranks > 0, None], ranks[ranks > 0] * each


def options(layer: nn.Module, at: Positions, method: Method, seed: int) -> Options:
    """Return the ranks with which a layer that is taken would compute less, and what each loses."""
    whole, ranks, macs = costs(layer, at, method)
    kernel = _kernel(layer)
    if kernel.ndim == 4 and method == "cp":
        return Options.saving(whole, ranks, macs, np.array([lowrank.cp_loss(kernel, int(rank), seed) for (rank,) in ranks]))
    spectra = (lowrank.svd_losses(kernel),) if kernel.ndim == 2 else lowrank.tucker2_losses(kernel)
    lost = sum(losses[np.minimum(column, len(losses)) - 1] for losses, column in zip(spectra, ranks.T, strict=True))
    return Options.saving(whole, ranks, macs, np.asarray(lost))


def factors(layer: nn.Module, ranks: tuple[int, ...], method: Method, seed: int) -> list[nn.Module]:
    """Return the layers that replace one, in sequence; stride and padding stand at the spatial kernel, bias at the last."""
    kernel = _kernel(layer)
    if isinstance(layer, nn.Linear):
        made: list[nn.Module] = [_linear(matrix) for matrix in lowrank.svd(kernel, ranks[0])]
    elif not isinstance(layer, _CONVOLUTIONS):
        raise TypeError(type(layer).__name__)
    elif kernel.ndim == 2:
        # the first of two 1x1 kernels takes the stride, so that both compute at output positions alone
        first, last = lowrank.svd(kernel, ranks[0])
        made = [_convolution(first[:, :, None, None], layer, (0, 1)), _convolution(last[:, :, None, None], layer, ())]
    elif method == "tucker2":
        kernels = lowrank.tucker2(kernel, *ranks)
        made = [_convolution(one, layer, (0, 1) if max(one.shape[2:]) > 1 else ()) for one in kernels]
    else:
        first, *spatial, last = lowrank.cp(kernel, ranks[0], seed)
        axes = ((0,), (1,)) if len(spatial) == 2 else ((0, 1),)
        between = [_convolution(one, layer, along, groups=ranks[0]) for one, along in zip(spatial, axes, strict=True)]
        made = [_convolution(first, layer, ()), *between, _convolution(last, layer, ())]
    if layer.bias is not None:
        made[-1].register_parameter("bias", nn.Parameter(layer.bias.detach().clone()))
    return made


def _kernel(layer: nn.Module) -> lowrank.Array:
    """Weights as (out, in), or as (out, in, height, width) where the kernel is spatial; the height of one axis alone is 1."""
    weight: lowrank.Array = layer.get_parameter("weight").detach().double().numpy()
    outputs, inputs, *size = weight.shape
    return weight.reshape(outputs, inputs, *([1] * (2 - len(size)) + size if max(size, default=1) > 1 else []))


def _mode_ranks(channels: int, others: int) -> Array:
    """Ranks of one mode of a kernel; all channels, for which no factor is needed, even where the rank cannot be so high."""
    return np.unique(np.append(np.arange(1, min(channels, others) + 1), channels))


def _pairs(first: Array, second: Array) -> Array:
    return np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)


def _linear(matrix: lowrank.Array) -> nn.Module:
    layer = nn.Linear(matrix.shape[1], matrix.shape[0], bias=False)
    layer.weight = nn.Parameter(torch.from_numpy(matrix).float())
    return layer


def _convolution(kernel: lowrank.Array, whole: Convolution, axes: tuple[int, ...], groups: int = 1) -> nn.Module:
    """A convolution with this kernel that takes stride, padding and dilation of the whole one along these axes of a plane."""
    own = (1,) if isinstance(whole, nn.Conv1d) else (0, 1)
    stride, padding, dilation = (
        tuple(value if axis in axes else other for axis, value in zip(own, values, strict=True))
        for values, other in ((whole.stride, 1), (_padding(whole) or (0,) * len(own), 0), (whole.dilation, 1))
    )
    outputs, inputs, *plane = kernel.shape
    size = tuple(plane[axis] for axis in own)
    layer = type(whole)(inputs * groups, outputs, size, stride, padding, dilation, groups, bias=False)  # type: ignore[arg-type]
    layer.weight = nn.Parameter(torch.from_numpy(kernel.reshape(outputs, inputs, *size).copy()).float())
    return layer
