# SPDX-License-Identifier: Apache-2.0
"""Structured pruning with torch-pruning: whole channels go, over residual, depthwise and grouped layers."""

import torch

from edgewright.artifact import CandidateFacts
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.pytorch.passes.common import fine_tune, fine_tuning, finish, load_float
from edgewright.integrations.frameworks.pytorch.randomness import seeded
from edgewright.integrations.frameworks.pytorch.structure import count_macs


def prune(request: ModelPassRequest) -> CandidateFacts:
    """Remove channels until the share asked for is gone, then train."""
    import torch_pruning

    options, facts = request.options, request.candidate.facts
    with seeded(request.seed, deterministic=False):
        model = load_float(request.candidate)
        whole = count_macs(model, facts.input_shape)
        last = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)][-1:]
        pruner = torch_pruning.pruner.BasePruner(
            model,
            torch.zeros(1, *facts.input_shape),
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=1),
            pruning_ratio=0.9,
            max_pruning_ratio=0.9,
            iterative_steps=100,
            global_pruning=True,
            ignored_layers=last,
            round_to=options.round_to,
        )
        while count_macs(model, facts.input_shape) > (1 - options.ratio) * whole:
            pruner.step()
        history = fine_tune(request, model, fine_tuning(request, epochs=0.5, rate=0.3))
    return finish(request, model, history, achieved=1 - count_macs(model, facts.input_shape) / whole)
