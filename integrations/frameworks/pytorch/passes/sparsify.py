# SPDX-License-Identifier: Apache-2.0
"""Unstructured sparsity: single weights become zero while the model trains, and stay zero.

By magnitude over all convolutions and linear layers at once, more and more on a cubic schedule (Zhu & Gupta, 2017,
arXiv:1710.01878); or N of each run of M along the input channels at once (Mishra et al., 2021, arXiv:2104.08378).
"""

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor, nn

from edgewright.artifact import CandidateFacts
from edgewright.config.model import ModelSpec
from edgewright.config.model_passes import Sparsify
from edgewright.errors import ModelError
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.pytorch.build import build
from edgewright.integrations.frameworks.pytorch.fit import Goal, Splits
from edgewright.integrations.frameworks.pytorch.objective import loss_function
from edgewright.integrations.frameworks.pytorch.passes.common import fine_tune, finish, load_float
from edgewright.integrations.frameworks.pytorch.randomness import seeded
from edgewright.integrations.frameworks.pytorch.structure import share_of_zeros
from edgewright.model_passes import fine_tuning, is_sparse
from edgewright.training import best_of

Weights = dict[str, Tensor]
_EPOCHS, _LEARNING_RATE = 0.5, 0.3
"""Shares of the baseline's."""
_GROWING = 2 / 3
"""Share of the steps in which zeros become more; in the rest the other weights settle."""
_UPDATES = 100
"""Times that masks are chosen anew while zeros become more."""


def sparsify(request: ModelPassRequest) -> CandidateFacts:
    """Make the smallest weights zero until the share or pattern asked for is reached, while training; write the weights.

    Raises:
        ModelError: no layer fits the pattern, or the share would empty a layer.
    """
    step = request.options
    training = fine_tuning(request, _EPOCHS, _LEARNING_RATE)
    splits = Splits.of(request.data, request.metric)
    steps = ceil(int(splits.learn.normal.sum()) / training.batch_size)
    loss = loss_function(request.data.card.task, training)
    with seeded(request.seed, deterministic=training.deterministic):
        model = load_float(request.candidate)
        _check(step, model)
        growing = 0 if step.pattern else max(1, round(_GROWING * steps * training.epochs))
        masks = _Masks(_chooser(step, model, zeros_stay=is_sparse(request.candidate.facts)), growing, steps)
        settled = max(1, ceil(growing / steps))
        goal = Goal(loss, after_step=masks.after_step, before_epoch=masks.before_epoch, keeps_from=settled)
        history = fine_tune(request, model, training, goal, splits=splits)
    best = best_of(history[settled - 1 :], splits.metric).epoch
    return finish(request, model, history, achieved=share_of_zeros(model), best_epoch=best)


def check_sparsify(step: Sparsify, spec: ModelSpec, sample: tuple[int, ...], outputs: int) -> None:
    """Make sure, without training, that a model has layers for the pattern.

    Raises:
        ModelError: it has none.
    """
    if step.pattern:
        _check(step, build(spec, sample, outputs))


class _Masks:
    """Which weights stay, at each moment of a training."""

    def __init__(self, choose: Callable[[nn.Module, float], dict[str, Tensor]], growing: int, steps: int) -> None:
        """Set up; ``choose`` names the weights that stay at a progress of 0 … 1, which takes ``growing`` steps."""
        self._choose, self._growing, self._steps = choose, growing, steps
        self._step = 0
        self._masks: dict[str, Tensor] = {}

    def before_epoch(self, model: nn.Module, epoch: int) -> None:
        """Take up the masks of a moment: weights that are zero are the smallest, so that they are chosen again."""
        self._step = (epoch - 1) * self._steps
        self._update(model)

    def after_step(self, model: nn.Module) -> None:
        """Keep zeros at zero, and choose more of them while they grow."""
        self._step += 1
        self._apply(model)
        if self._step <= self._growing and (self._step % max(1, self._growing // _UPDATES) == 0 or self._step == self._growing):
            self._update(model)

    def _update(self, model: nn.Module) -> None:
        self._masks = self._choose(model, min(1.0, self._step / self._growing) if self._growing else 1.0)
        self._apply(model)

    def _apply(self, model: nn.Module) -> None:
        with torch.no_grad():
            for name, mask in self._masks.items():
                model.get_parameter(name).mul_(mask)


def _chooser(step: Sparsify, model: nn.Module, *, zeros_stay: bool) -> Callable[[nn.Module, float], dict[str, Tensor]]:
    if step.pattern:
        kept, run = _pattern(step.pattern)
        masks = {name: weight != 0 for name, weight in _weights(model).items() if zeros_stay}
        for name, weight in _fitting(model, run).items():
            masks[name] = masks.get(name, True) & _runs(weight, kept, run)
        return lambda model, progress: masks  # noqa: ARG005
    first = share_of_zeros(model)

    def choose(model: nn.Module, progress: float) -> dict[str, Tensor]:
        share = step.ratio + (first - step.ratio) * (1 - progress) ** 3
        return _smallest(_weights(model), max(first, share))

    return choose


def _smallest(weights: Weights, share: float) -> dict[str, Tensor]:
    """Masks without the smallest share of all weights; of each layer the largest weight stays."""
    sizes = []
    for weight in weights.values():
        size = weight.detach().abs().flatten()
        size[size.argmax()] = torch.inf
        sizes.append(size)
    every = torch.cat(sizes)
    stays = torch.ones(len(every), dtype=torch.bool)
    stays[every.topk(ceil(share * len(every) - 1e-6), largest=False).indices] = False
    each = torch.split(stays, [len(size) for size in sizes])
    return {name: mask.reshape(weight.shape) for (name, weight), mask in zip(weights.items(), each, strict=True)}


def _runs(weight: Tensor, kept: int, run: int) -> Tensor:
    """Mask of the ``kept`` largest of each run along the input channels, (outputs, inputs, …)."""
    channels_last = weight.detach().abs().movedim(1, -1)
    runs = channels_last.reshape(*channels_last.shape[:-1], -1, run)
    stays = torch.zeros_like(runs, dtype=torch.bool)
    stays.scatter_(-1, runs.topk(kept, dim=-1).indices, value=True)
    return stays.flatten(-2).movedim(-1, 1)


def _weights(model: nn.Module) -> Weights:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.dim() > 1}


def _fitting(model: nn.Module, run: int) -> Weights:
    """Weights of the layers whose input channels come in whole runs."""
    layers = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)]
    return {f"{name}.weight".lstrip("."): layer.weight for name, layer in layers if layer.weight.shape[1] % run == 0}


def _pattern(pattern: str) -> tuple[int, int]:
    kept, _, run = pattern.partition("of")
    return int(kept), int(run)


def _check(step: Sparsify, model: nn.Module) -> None:
    weights, where = _weights(model), f"recipe {step.name}"
    if step.pattern:
        run = _pattern(step.pattern)[1]
        if not _fitting(model, run):
            inputs = ", ".join(f"{name.removesuffix('.weight')!r} {weight.shape[1]}" for name, weight in weights.items())
            raise ModelError(
                f"no layer's input channels come in runs of {run}; they have: {inputs or 'no weights'}",
                where=where,
                to_do="write a smaller pattern, such as '1of2', or a share: sparsify50",
            )
        return
    if not weights:
        raise ModelError("the model has no convolutions or linear layers", where=where, to_do="leave sparsify out")
    for name, mask in _smallest(weights, step.ratio).items():
        if mask.sum() <= 1 < mask.numel():
            raise ModelError(
                f"{100 * step.ratio:.4g} % of zeros leave no more than one weight of a whole layer",
                where=f"{where}, layer {name.removesuffix('.weight')!r}",
                to_do="write a smaller ratio, or prune whole channels",
            )
