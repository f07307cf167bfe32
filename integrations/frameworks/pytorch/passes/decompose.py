# SPDX-License-Identifier: Apache-2.0
"""Low-rank decomposition: a layer becomes two to four cheaper ones in sequence, under its own name; then training.

A layer that no rank makes cheaper stays as it is; what all of them together save is counted and must be what was asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from edgewright.artifact import CandidateFacts
from edgewright.config.model import ModelSpec
from edgewright.config.model_passes import Decompose
from edgewright.errors import ModelError
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.pytorch.build import build
from edgewright.integrations.frameworks.pytorch.passes.common import fine_tune, finish, load_float
from edgewright.integrations.frameworks.pytorch.passes.factorize import Positions, costs, factors, is_taken, options
from edgewright.integrations.frameworks.pytorch.passes.ranks import Options, by_budget, by_energy, most
from edgewright.integrations.frameworks.pytorch.randomness import seeded
from edgewright.integrations.frameworks.pytorch.structure import count_macs
from edgewright.model_passes import fine_tuning


def decompose(request: ModelPassRequest) -> CandidateFacts:
    """Decompose layers by energy, or until the share of multiply-accumulates asked for is gone; then train.

    Raises:
        ModelError: the share cannot be reached, or no layer gets cheaper at this energy.
    """
    asked, facts = request.options, request.candidate.facts
    with seeded(request.seed, deterministic=False):
        model = load_float(request.candidate)
        whole = count_macs(model, facts.input_shape)
        sites = _sites(model, build(facts.model, facts.input_shape, facts.outputs), facts.input_shape)
        taken = [site for site in sites if is_taken(site.layer)]
        possible = [options(site.layer, site.positions, asked.method, request.seed) for site in taken]
        for site, ranks, choice in zip(taken, possible, _choose(possible, asked, whole), strict=True):
            if choice is not None:
                site.parts = factors(site.layer, tuple(ranks.ranks[choice].tolist()), asked.method, request.seed)
        _put_back(model, sites)
        achieved = 1 - count_macs(model, facts.input_shape) / whole
        if asked.energy is None and achieved < asked.ratio:
            raise _unreachable(asked, achieved)
        history = fine_tune(request, model, fine_tuning(request, epochs=0.5, rate=0.3))
    return finish(request, model, history, achieved=achieved if asked.energy is None else None)


def check_decompose(asked: Decompose, spec: ModelSpec, sample: tuple[int, ...], outputs: int) -> None:
    """Make sure, without training, that lowest ranks in all layers would save the share asked for.

    Raises:
        ModelError: they would not, whatever the weights are.
    """
    if asked.energy is not None:
        return
    model = build(spec, sample, outputs).eval()
    taken = [site for site in _sites(model, model, sample) if is_taken(site.layer)]
    found = [costs(site.layer, site.positions, asked.method) for site in taken]
    saved = sum(max(whole - int(macs.min(initial=whole)), 0) for whole, _, macs in found)
    whole = count_macs(model, sample)
    if saved < asked.ratio * whole:
        raise _unreachable(asked, saved / whole)


@dataclass
class _Site:
    """One layer of the model, and where it stands."""

    name: str
    """Of the architecture's layer; an earlier pass may have put several layers there."""
    layer: nn.Module
    parts: list[nn.Module]
    """What stands in the layer's place: at first the layer itself."""
    positions: Positions = field(default_factory=Positions)

    def watch(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Forward hook: count the positions of one call."""
        self.positions.count(layer, inputs[0], output)


def _sites(model: nn.Module, original: nn.Module, sample: tuple[int, ...]) -> list[_Site]:
    """Every layer of the model, below the name of the architecture's, with the positions one sample makes it compute."""
    sites: list[_Site] = []
    for name, before in original.named_modules():
        if not list(before.children()) and list(before.parameters()):
            after = model.get_submodule(name)
            sites += [_Site(name, part, [part]) for part in list(after.children()) or [after]]
    handles = [site.layer.register_forward_hook(site.watch) for site in sites if is_taken(site.layer)]
    with torch.no_grad():
        model(torch.zeros(1, *sample))
    for handle in handles:
        handle.remove()
    return sites


def _put_back(model: nn.Module, sites: Sequence[_Site]) -> None:
    """Replace layers by their parts, one sequence a name: sequences in sequences could not be described."""
    for name in {site.name: None for site in sites}:
        here = [site for site in sites if site.name == name]
        if any(site.parts != [site.layer] for site in here):
            model.set_submodule(name, nn.Sequential(*(part for site in here for part in site.parts)).eval())


def _choose(possible: Sequence[Options], asked: Any, whole: int) -> list[int | None]:
    """Return which of its options each layer gets; None: it stays."""
    if asked.energy is None:
        chosen = by_budget(possible, asked.ratio * whole)
        if chosen is None:
            raise _unreachable(asked, most(possible) / whole)
        return chosen
    found = [by_energy(ranks, asked.energy) for ranks in possible]
    if all(choice is None for choice in found):
        raise ModelError(
            f"while each layer keeps {100 * asked.energy:g} % of its energy, none gets cheaper",
            where=asked.name,
            to_do="lower 'energy', or give the 'ratio' of multiply-accumulates that has to go instead",
        )
    return found


def _unreachable(asked: Any, achieved: float) -> ModelError:
    return ModelError(
        f"{100 * asked.ratio:g} % of the multiply-accumulates cannot go: with every layer at its lowest rank it is "
        f"{100 * achieved:.3g} % (convolutions with groups, depthwise ones among them, are not decomposed)",
        where=asked.name,
        to_do="lower 'ratio', or take channels away instead: prune",
    )
