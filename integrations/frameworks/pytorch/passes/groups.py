# SPDX-License-Identifier: Apache-2.0
"""Channels that can only go together, after torch-pruning's dependency graph: found, ranked, and cut out of a model.

DepGraph (Fang et al., 2023, arXiv:2301.12900) couples layers over residual, depthwise, grouped and concatenated paths.
Which channels go is chosen here, unit by unit over the whole model, so that a share is met closely and no layer empties.
"""

import copy
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from edgewright.errors import ModelError
from edgewright.integrations.frameworks.pytorch.structure import kind_of

Sample = tuple[int, ...]
Score = Callable[[Any], Tensor | None]
"""One of torch_pruning's importances: a group to a score for each of its channels."""
Floors = dict[str, int]
"""Channels that a layer keeps at least, by its name."""
KEPT = 0.1
"""Share of a layer's channels that always stays, and one at least: next to nothing passes a layer that is narrower."""
_CLOSE = 1e-3


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
    sizes = {name: _width(layer) for name, layer in model.named_modules() if kind_of(layer) is not None}
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
    with _traced(model, sample) as graph:
        names = {layer: name for name, layer in model.named_modules()}
        found = [(unit, touched) for group in _free(graph) for unit, touched in _units(group, score, names)]
    left = {name: _width(layer) for name, layer in model.named_modules() if kind_of(layer) is not None}
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
    with _traced(model, sample) as graph:
        for group in _groups(graph, model, units):
            group.prune(record_history=False)
    return model


def parts(model: nn.Module, sample: Sample, units: Sequence[Unit]) -> list[Part]:
    """Return where the units lie in the weights of a model, as outputs and as inputs of layers."""
    with _traced(model, sample) as graph:
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
    if not mixes and float((answer - wanted).abs().max()) > _CLOSE * float(wanted.abs().max() + 1):
        raise ModelError(
            "the model combines channels in a way that pruning does not follow, such as a channel shuffle, a split into "
            "parts of a written-down size, or a mean over channels",
            where="model.architecture",
            to_do="distill into a narrower model instead, or join paths by addition and concatenation only",
        )


@contextmanager
def _traced(model: nn.Module, sample: Sample) -> Iterator[Any]:
    """Trace a model in inference mode; frozen weights, which autograd would not see, are thawed meanwhile."""
    import torch_pruning

    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    model.requires_grad_(True)
    try:
        # in a tuple: a bare tensor would be tried without its batch first
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            example = (torch.zeros(1, *sample),)
            try:
                graph = torch_pruning.DependencyGraph().build_dependency(model, example, verbose=False)
            except Exception as error:
                raise _untraceable(f"{type(error).__name__}: {error}") from error
            yield graph
    finally:
        for name in frozen:
            model.get_parameter(name).requires_grad_(False)


def _free(graph: Any) -> list[Any]:
    """Groups of channels that may go: not the model's outputs, and nothing that cannot be built again."""
    held = _output_layers(graph)
    try:
        return [group for group in graph.get_all_groups(ignored_layers=held) if _can_go(group)]
    except Exception as error:
        raise _untraceable(f"{type(error).__name__}: {error}") from error


def _output_layers(graph: Any) -> list[nn.Module]:
    """The layers that make the model's outputs, behind which there are only operations without weights of their own."""
    waiting, seen = [next(iter(graph.module2node.values()))], set()
    found: list[nn.Module] = []
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node.module, _ConvNd | nn.Linear):
            found.append(node.module)
        else:
            waiting.extend(node.inputs)
    return found


def _can_go(group: Any) -> bool:
    """Whether all layers of a group can be built again, and lose as much of each of their own groups."""
    layers = [dep.target.module for dep, _ in group.items]
    weighted = [layer for layer in layers if isinstance(layer, nn.Parameter) or _has_weights(layer)]
    each, width = _channel_groups(group), len(group.items[0].idxs)
    if width % each or any(kind_of(layer) is None or _is_odd(layer) for layer in weighted):
        return False
    units = range(width // each)
    grouped = [item for item in group.items if _grouped(item.dep.target.module) > 1]
    return all(_is_even(item, unit, len(units)) for item in grouped for unit in units)


def _is_even(item: Any, unit: int, size: int) -> bool:
    """Whether a unit takes the same channels out of each group of a grouped layer."""
    layer = item.dep.target.module
    positions = [at for at, root in zip(item.idxs, item.root_idxs, strict=True) if root % size == unit]
    block = (_width(layer) if _makes(item.dep) else layer.in_channels) // _grouped(layer)
    return len({frozenset(at % block for at in positions if at // block == one) for one in range(_grouped(layer))}) == 1


def _units(group: Any, score: Score, names: dict[nn.Module, str]) -> Iterator[tuple[Unit, Counter[str]]]:
    """Each unit of a group, with the output channels that layers lose with it."""
    scores = score(group)
    if scores is None:
        return
    each, root = _channel_groups(group), names[group.items[0].dep.target.module]
    width = len(group.items[0].idxs)
    # a group whose weights are all zero has no scale to be measured by
    means = scores.nan_to_num(0.0).reshape(each, -1).mean(0).tolist()
    for number, mean in enumerate(means):
        channels = tuple(range(number, width, len(means)))
        touched: Counter[str] = Counter()
        for item in group.items:
            layer = item.dep.target.module
            if _has_weights(layer) and _makes(item.dep):
                lost = sum(1 for channel in item.root_idxs if channel in channels)
                touched[names[layer]] = max(touched[names[layer]], lost)
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
    if not _has_weights(layer) or isinstance(layer, nn.PReLU) or layer.weight is None:
        return
    consumes = isinstance(layer, _ConvNd | nn.Linear) and not _makes(dep)
    transposed = isinstance(layer, nn.ConvTranspose2d)
    axis = int(consumes != transposed) if layer.weight.dim() > 1 and not _is_depthwise(layer) else 0
    if consumes and _grouped(layer) > 1:
        positions = [position for position in positions if position < layer.in_channels // layer.groups]
    at = torch.tensor(sorted(set(positions)), dtype=torch.int64)
    yield Part(layer.weight.data, axis, at, consumes)
    if not consumes and layer.bias is not None:
        yield Part(layer.bias.data, 0, at, consumes)


def _makes(dep: Any) -> bool:
    """Whether a group's entry takes output channels of its layer."""
    return dep.handler.__name__ == "prune_out_channels"


def _channel_groups(group: Any) -> int:
    """Number of channels that only go together."""
    return math.lcm(*(_grouped(dep.target.module) for dep, _ in group.items))


def _grouped(layer: Any) -> int:
    if isinstance(layer, nn.GroupNorm):
        return layer.num_groups
    return layer.groups if isinstance(layer, _ConvNd) and not _is_depthwise(layer) else 1


def _is_odd(layer: Any) -> bool:
    """Whether a convolution is of a kind that torch-pruning cuts wrongly."""
    if not isinstance(layer, _ConvNd) or layer.groups == 1:
        return False
    return bool(layer.transposed or layer.groups == layer.out_channels != layer.in_channels)


def _is_depthwise(layer: Any) -> bool:
    return isinstance(layer, _ConvNd) and layer.groups == layer.out_channels == layer.in_channels > 1


def _has_weights(layer: Any) -> bool:
    return isinstance(layer, nn.Module) and bool(layer.state_dict())


def _width(layer: nn.Module) -> int:
    """Output channels of a layer whose kind is known."""
    if isinstance(layer, nn.LayerNorm):
        return layer.normalized_shape[-1]
    names = ("out_channels", "out_features", "num_features", "num_channels", "num_parameters")
    return next(int(getattr(layer, name)) for name in names if hasattr(layer, name))


def _untraceable(why: str) -> ModelError:
    return ModelError(
        f"the channels of the model cannot be traced: {why}",
        where="model.architecture",
        to_do="use layers of torch.nn in a forward pass without branches on values, or leave pruning out",
    )


def _hard_coded(why: str) -> ModelError:
    return ModelError(
        f"the model does not run with fewer channels: {why}",
        where="model.architecture",
        to_do="take sizes from the data instead of writing them down: x.flatten(1) for x.view(-1, 64), x.shape[1] for 64",
    )
