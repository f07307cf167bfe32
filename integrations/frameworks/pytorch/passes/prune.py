# SPDX-License-Identifier: Apache-2.0
"""Structured pruning: the least important channels go until the share asked for is gone; then, or in between, training.

How channels are ranked, what an order of channels has to be cut down to, and the training around it are put together here.
"""

from collections.abc import Iterator
from itertools import pairwise
from math import ceil
from typing import Any

import torch
from torch import nn

from edgewright.artifact import CandidateFacts, Epoch
from edgewright.config.model import ModelSpec, Training
from edgewright.config.model_passes import Prune
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.pytorch.build import build
from edgewright.integrations.frameworks.pytorch.fit import Goal, Splits
from edgewright.integrations.frameworks.pytorch.objective import Loss, loss_function
from edgewright.integrations.frameworks.pytorch.passes.common import fine_tune, finish, keep_zeros, load_float
from edgewright.integrations.frameworks.pytorch.passes.dependencies import Sample
from edgewright.integrations.frameworks.pytorch.passes.group_sparsity import Fading
from edgewright.integrations.frameworks.pytorch.passes.groups import Floors, Score, Unit, floors, ranked, rounded
from edgewright.integrations.frameworks.pytorch.passes.search import Search, share_of_counted
from edgewright.integrations.frameworks.pytorch.randomness import seeded
from edgewright.integrations.frameworks.pytorch.samples import Samples
from edgewright.model_passes import fine_tuning
from edgewright.training import best_of

_EPOCHS, _LEARNING_RATE = 0.5, 0.3
"""Shares of the baseline's; where the structure is learned, that takes as many epochs again."""
_TAYLOR_BATCHES = 8


def prune(request: ModelPassRequest) -> CandidateFacts:
    """Remove channels until the share asked for is gone, in rounds, with training after each; write the weights.

    Raises:
        ModelError: the channels cannot be traced or cut, or so much cannot go (it says how much can).
        ConfigError: a share of the latency is asked for without a target.
    """
    step, sample = request.options, request.candidate.facts.input_shape
    learned = step.importance == "group_sparsity"
    training = fine_tuning(request, _EPOCHS * (1 + learned), _LEARNING_RATE)
    trainings = _spread(training, step.rounds * (1 + learned))
    splits, loss = Splits.of(request.data, request.metric), loss_function(request.data.card.task, training)
    history: list[Epoch] = []
    with seeded(request.seed, deterministic=training.deterministic):
        model = load_float(request.candidate)
        least, search = floors(model), Search.of(request, model, training)
        search.must_reach(model, ranked(model, sample, _magnitude(), least))
        for number, share in enumerate(_shares(step), 1):
            if learned:
                enough = search.fewest(model, ranked(model, sample, _magnitude(), least), share, f"fading {number}")
                now = next(trainings)
                goal = _fading(request, model, now, loss, splits.learn, enough.count, least)
                history += fine_tune(request, model, now, goal, f"structure {number} of {step.rounds}", splits)
            score = _taylor(model, loss, splits.learn, training) if step.importance == "taylor" else _magnitude()
            found = search.fewest(model, ranked(model, sample, score, least), share, f"cut {number}")
            model, part = found.model, f"cut {number} of {step.rounds}" if step.rounds > 1 else ""
            last = fine_tune(request, model, next(trainings), part=part, splits=splits)
            history += last
    numbered = [epoch.model_copy(update={"epoch": number}) for number, epoch in enumerate(history, 1)]
    best = best_of(numbered[-len(last) :], splits.metric).epoch
    return finish(request, model, numbered, achieved=found.share, best_epoch=best)


def check_prune(step: Prune, spec: ModelSpec, sample: Sample, outputs: int) -> None:
    """Make sure, without training, that a model can be cut, and so far as the ratio says (a latency is only known later).

    Raises:
        ModelError: it cannot; the message says how far.
    """
    model = build(spec, sample, outputs).eval()
    share = share_of_counted(step.of, model, sample) if step.of != "latency" else lambda model: 1.0  # noqa: ARG005
    Search(step, sample, share).must_reach(model, ranked(model, sample, _magnitude(), floors(model)))


def _fading(
    request: ModelPassRequest, model: nn.Module, training: Training, loss: Loss, learn: Samples, count: int, least: Floors
) -> Goal:
    """Train towards the loss while the ``count`` least important units fade; only the last epoch's weights are without them."""
    sample, round_to = request.candidate.facts.input_shape, request.options.round_to

    def redundant(model: nn.Module) -> list[Unit]:
        return rounded(ranked(model, sample, _magnitude(), least)[:count], round_to)

    steps = ceil(int(learn.normal.sum()) / training.batch_size)
    fading, zeros = Fading(redundant, sample, training.epochs, steps), keep_zeros(request, model)

    def after_step(model: nn.Module) -> None:
        zeros(model)
        fading.after_step(model)

    return Goal(loss, after_step=after_step, before_epoch=fading.before_epoch, keeps_from=training.epochs)


def _shares(step: Prune) -> Iterator[float]:
    """What is gone after each round: each takes the same share of what the one before has left."""
    return (1 - (1 - step.ratio) ** (number / step.rounds) for number in range(1, step.rounds + 1))


def _spread(training: Training, parts: int) -> Iterator[Training]:
    """Spread the epochs evenly over several trainings, at least one each."""
    cuts = [training.epochs * part // parts for part in range(parts + 1)]
    return (training.model_copy(update={"epochs": max(1, end - start)}) for start, end in pairwise(cuts))


def _magnitude() -> Score:
    """L1 norm of a channel's weights, mean over the layers of its group, as a multiple of the group's mean."""
    import torch_pruning

    score: Score = torch_pruning.importance.GroupMagnitudeImportance(p=1)
    return score


def _taylor(model: nn.Module, loss: Loss, learn: Samples, training: Training) -> Score:
    """First-order Taylor expansion of the loss (Molchanov et al., 2019, arXiv:1906.10771): mean of |weight x gradient|.

    Over some batches of the train split, each on its own: over all together, the gradients of a trained model add up to none.
    """
    import torch_pruning

    rows = learn.normal.nonzero().squeeze(1)
    batches = torch.split(rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))], training.batch_size)
    wanted: dict[str, Any] = {}
    names = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    model.requires_grad_(True)
    for batch in batches[:_TAYLOR_BATCHES]:
        gradients = torch.autograd.grad(
            loss(model(learn.inputs[batch]), learn.targets[batch]), list(model.parameters()), allow_unused=True
        )
        for (name, parameter), gradient in zip(model.named_parameters(), gradients, strict=True):
            wanted[name] = wanted.get(name, torch.zeros_like(parameter)) + (0 if gradient is None else gradient.abs())
    for name, parameter in model.named_parameters():
        parameter.grad = wanted[name].detach()
        parameter.requires_grad_(name not in names)
    score: Score = torch_pruning.importance.GroupTaylorImportance()
    return score
