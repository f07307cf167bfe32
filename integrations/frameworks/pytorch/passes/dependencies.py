# SPDX-License-Identifier: Apache-2.0
"""Layers coupled by the channels between them, as torch-pruning's dependency graph has them; and which of them may lose some.

DepGraph (Fang et al., 2023, arXiv:2301.12900) follows residual, depthwise, grouped and concatenated paths. What it reads
wrongly is found out here: groups that are not even, normalizations over other axes, positions that no layer has.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from edgewright.errors import ModelError
from edgewright.integrations.frameworks.pytorch.structure import kind_of

Sample = tuple[int, ...]


@contextmanager
def traced(model: nn.Module, sample: Sample) -> Iterator[Any]:
    """Trace a model, in inference mode; frozen weights, which autograd would not see, are thawed meanwhile.

    Raises:
        ModelError: it cannot be traced.
    """
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


def free_groups(graph: Any) -> list[Any]:
    """Return the groups of channels that may go: not the model's outputs, and nothing that cannot be built again.

    Raises:
        ModelError: the graph is not what the model does.
    """
    held = _output_layers(graph)
    try:
        return [group for group in _coupled(graph, held) if _can_go(group)]
    except ModelError:
        raise
    except Exception as error:
        raise _untraceable(f"{type(error).__name__}: {error}") from error


def _coupled(graph: Any, held: Sequence[nn.Module]) -> Iterator[Any]:
    """Groups that hold each channel once, from the narrowest layers on: what is concatenated goes apart, not as one."""
    layers = [layer for layer in graph.module2node if isinstance(layer, _ConvNd | nn.Linear)]
    covered: dict[Any, set[int]] = {layer: set() for layer in layers}
    for layer in sorted(layers, key=width_of):
        if covered[layer]:
            continue
        every = list(range(width_of(layer)))
        group = graph.get_pruning_group(layer, graph.get_pruner_of_module(layer).prune_out_channels, every)
        made = [(dep.target.module, at) for dep, at in group.items if makes(dep)]
        for other, at in made:
            covered.setdefault(other, set()).update(at)
        if not any(other in held for other, _ in made):
            yield group


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
    weighted = [layer for layer in layers if isinstance(layer, nn.Parameter) or has_channels(layer)]
    each, width = channel_groups(group), len(group.items[0].idxs)
    if width % each or any(kind_of(layer) is None or _is_odd(layer) for layer in weighted):
        return False
    beyond = [dep.target.module for dep, at in group.items if has_channels(dep.target.module) and max(at) >= _channels(dep)]
    if any(isinstance(layer, nn.LayerNorm) for layer in beyond):
        return False  # torch-pruning takes the last axis of a layer normalization for channels, whatever it is
    if beyond:
        raise not_followed()
    units = range(width // each)
    parted = [item for item in group.items if groups_of(item.dep.target.module) > 1]
    return all(_is_even(item, unit, len(units)) for item in parted for unit in units)


def _is_even(item: Any, unit: int, size: int) -> bool:
    """Whether a unit takes the same channels out of each group of a grouped layer."""
    layer = item.dep.target.module
    positions = [at for at, root in zip(item.idxs, item.root_idxs, strict=True) if root % size == unit]
    block = _channels(item.dep) // groups_of(layer)
    return len({frozenset(at % block for at in positions if at // block == one) for one in range(groups_of(layer))}) == 1


def makes(dep: Any) -> bool:
    """Whether a group's entry takes output channels of its layer."""
    return bool(dep.handler.__name__ == "prune_out_channels")


def _channels(dep: Any) -> int:
    """Channels of a layer on the side that a group's entry is about."""
    layer = dep.target.module
    return width_of(layer) if makes(dep) else int(layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels)


def channel_groups(group: Any) -> int:
    """Number of channels that only go together."""
    return math.lcm(*(groups_of(dep.target.module) for dep, _ in group.items))


def groups_of(layer: Any) -> int:
    """Groups of a grouped convolution or normalization; 1 for a depthwise one, whose channels go one by one."""
    if isinstance(layer, nn.GroupNorm):
        return int(layer.num_groups)
    return int(layer.groups) if isinstance(layer, _ConvNd) and not is_depthwise(layer) else 1


def _is_odd(layer: Any) -> bool:
    """Whether a convolution is of a kind that torch-pruning cuts wrongly."""
    if not isinstance(layer, _ConvNd) or layer.groups == 1:
        return False
    return bool(layer.transposed) or layer.groups == layer.out_channels != layer.in_channels


def is_depthwise(layer: Any) -> bool:
    """Whether each channel of a convolution is computed from itself alone."""
    return isinstance(layer, _ConvNd) and layer.groups == layer.out_channels == layer.in_channels > 1


def has_channels(layer: Any) -> bool:
    """Whether a layer keeps something for each of its channels."""
    if isinstance(layer, nn.PReLU) and layer.num_parameters == 1:
        return False
    return isinstance(layer, nn.Module) and bool(layer.state_dict())


def width_of(layer: nn.Module) -> int:
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


def not_followed() -> ModelError:
    """Say that the graph is not what the model does."""
    return ModelError(
        "the model combines channels in a way that pruning does not follow, such as a channel shuffle, a split into parts of a "
        "written-down size, or a mean over channels",
        where="model.architecture",
        to_do="distill into a narrower model instead, or join paths by addition and concatenation only",
    )
