# SPDX-License-Identifier: Apache-2.0
"""Channels that can only go together: ranked over the whole model, and cut out of it.

torch-pruning says what is coupled and cuts it. Which channels go is chosen here, unit by unit: its own pruners stop where
a threshold would take a whole layer, count no groups of unlike size, and take a layer's share with a coarse hand.
"""

import copy
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from edgewright.errors import ModelError
from edgewright.integrations.frameworks.pytorch.passes.dependencies import (
    Sample,
    channel_groups,
    free_groups,
    groups_of,
    has_channels,
    is_depthwise,
    makes,
    not_followed,
    traced,
    width_of,
)
from edgewright.integrations.frameworks.pytorch.structure import kind_of

Score = Callable[[Any], Tensor | None]
"""One of torch_pruning's importances: a group to a score for each of its channels."""
Floors = dict[str, int]
"""Channels that a layer keeps at least, by its name."""
KEPT = 0.1
"""Share of a layer's channels that always stays, and one at least: next to nothing passes a layer that is narrower."""
_CLOSE, _NOISE = 1e-3, 1e-6
"""How close two answers are that only rounding sets apart: relative to the largest, and absolute."""


@dataclass(frozen=True)
class Unit:
    """Channels that can only go together: one of each group of a grouped convolution, or just one."""

    root: str
    """Name of a layer whose outputs they are; what is coupled to them follows."""
    channels: tuple[int, ...]
    width: int
    """Output channels of the root."""
    score: float


@dataclass(frozen=True)
class Part:
    """Where channels of a layer lie in one of its weights."""

    weight: Tensor
    axis: int
    positions: Tensor
    consumes: bool
    """Whether the channels are inputs here."""


def floors(model: nn.Module) -> Floors:
    """Return what each layer keeps at least."""
    sizes = {name: width_of(layer) for name, layer in model.named_modules() if kind_of(layer) is not None}
    return {name: max(1, math.ceil(KEPT * size)) for name, size in sizes.items()}


def ranked(model: nn.Module, sample: Sample, score: Score, least: Floors) -> list[Unit]:
    """Return the units that may go, least important first; all together they leave every layer its least channels.

    Args:
        model: in inference mode; it is left as it is.
        sample: shape of one sample, no batch.
        score: scores are compared over the whole model.
        least: from ``floors``.

    Raises:
        ModelError: the model cannot be traced.
    """
    with traced(model, sample) as graph:
        names = {layer: name for name, layer in model.named_modules()}
        found = [(unit, touched) for group in free_groups(graph) for unit, touched in _units(group, score, names)]
    left = {name: width_of(layer) for name, layer in model.named_modules() if kind_of(layer) is not None}
    taken = []
    for unit, touched in sorted(found, key=lambda pair: pair[0].score):
        if all(left[name] - count >= least[name] for name, count in touched.items()):
            for name, count in touched.items():
                left[name] -= count
            taken.append(unit)
    return taken


def rounded(units: Sequence[Unit], round_to: int) -> list[Unit]:
    """Leave out as many units as it takes for each root to keep a multiple of ``round_to`` channels, or all."""
    counts, chosen = Counter(unit.root for unit in units), []
    for unit in units:
        while (unit.width - counts[unit.root] * len(unit.channels)) % round_to and counts[unit.root]:
            counts[unit.root] -= 1
    for unit in units:  # least important first
        if counts[unit.root]:
            counts[unit.root] -= 1
            chosen.append(unit)
    return chosen


def cut(model: nn.Module, sample: Sample, units: Sequence[Unit]) -> nn.Module:
    """Return a copy of a model without these units."""
    model = copy.deepcopy(model)
    with traced(model, sample) as graph:
        for group in _groups(graph, model, units):
            group.prune(record_history=False)
    return model


def parts(model: nn.Module, sample: Sample, units: Sequence[Unit]) -> list[Part]:
    """Return where the units lie in the weights of a model, as outputs and as inputs of layers."""
    with traced(model, sample) as graph:
        items = [item for group in _groups(graph, model, units) for item in group.items]
        return [part for dep, positions in items for part in _parts(dep, positions)]


def check_cut(model: nn.Module, smaller: nn.Module, sample: Sample, units: Sequence[Unit]) -> None:
    """Make sure that the smaller model runs, and answers as the whole one with these units switched off.

    Raises:
        ModelError: it does not: the code hard-codes a number of channels, or moves channels in a way that is not followed.
    """
    inputs = torch.randn(2, *sample, generator=torch.Generator().manual_seed(0))
    silenced = copy.deepcopy(model)
    with torch.no_grad():
        for part in parts(silenced, sample, units):
            if part.consumes:
                part.weight.index_fill_(part.axis, part.positions, 0)
        wanted = silenced(inputs)
        try:
            answer = smaller(inputs)
        except Exception as error:
            raise _hard_coded(f"{type(error).__name__}: {error}") from error
    if answer.shape != wanted.shape:
        raise _hard_coded(f"for two samples it returns the shape {tuple(answer.shape)}")
    mixes = any(isinstance(layer, nn.LayerNorm | nn.GroupNorm) for layer in model.modules())
    if not mixes and float((answer - wanted).abs().max()) > _CLOSE * float(wanted.abs().max()) + _NOISE:
        raise not_followed()


def _units(group: Any, score: Score, names: dict[nn.Module, str]) -> Iterator[tuple[Unit, Counter[str]]]:
    """Each unit of a group, with the output channels that layers lose with it."""
    scores = score(group)
    if scores is None:
        return
    each, root = channel_groups(group), names[group.items[0].dep.target.module]
    width = len(group.items[0].idxs)
    # a group whose weights are all zero has no scale to be measured by
    means = scores.nan_to_num(0.0).reshape(each, -1).mean(0).tolist()
    made = [item for item in group.items if has_channels(item.dep.target.module) and makes(item.dep)]
    counts = [(names[item.dep.target.module], Counter(item.root_idxs)) for item in made]
    for number, mean in enumerate(means):
        channels = tuple(range(number, width, len(means)))
        touched: Counter[str] = Counter()
        for name, count in counts:
            touched[name] = max(touched[name], sum(count[channel] for channel in channels))
        yield Unit(root, channels, width, mean), touched


def _groups(graph: Any, model: nn.Module, units: Sequence[Unit]) -> Iterator[Any]:
    """torch-pruning's group of each root's units, once those before it have been dealt with."""
    roots: dict[str, list[int]] = {}
    for unit in units:
        roots.setdefault(unit.root, []).extend(unit.channels)
    for root, channels in roots.items():
        layer = model.get_submodule(root)
        yield graph.get_pruning_group(layer, graph.get_pruner_of_module(layer).prune_out_channels, sorted(channels))


def _parts(dep: Any, positions: Sequence[int]) -> Iterator[Part]:
    layer = dep.target.module
    if not has_channels(layer) or isinstance(layer, nn.PReLU) or layer.weight is None:
        return
    consumes = isinstance(layer, _ConvNd | nn.Linear) and not makes(dep)
    transposed = isinstance(layer, nn.ConvTranspose2d)
    axis = int(consumes != transposed) if layer.weight.dim() > 1 and not is_depthwise(layer) else 0
    if consumes and groups_of(layer) > 1:
        positions = [position for position in positions if position < layer.in_channels // layer.groups]
    at = torch.tensor(sorted(set(positions)), dtype=torch.int64)
    yield Part(layer.weight.data, axis, at, consumes)
    if not consumes and layer.bias is not None:
        yield Part(layer.bias.data, 0, at, consumes)


def _hard_coded(why: str) -> ModelError:
    return ModelError(
        f"the model does not run with fewer channels: {why}",
        where="model.architecture",
        to_do="take sizes from the data instead of writing them down: x.flatten(1) for x.view(-1, 64), x.shape[1] for 64",
    )
