# SPDX-License-Identifier: Apache-2.0
"""What every model pass begins and ends with: a copy of the live model, training after the change, and the facts of both."""

import hashlib
import json
from typing import Any

import torch
from torch import nn

from edgewright.artifact import Candidate, CandidateFacts, Epoch
from edgewright.config.model import ModelSpec, Training
from edgewright.fingerprint import of_code
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.pytorch.build import build
from edgewright.integrations.frameworks.pytorch.fit import Goal, Splits, fit
from edgewright.integrations.frameworks.pytorch.objective import loss_function
from edgewright.integrations.frameworks.pytorch.predict import predict
from edgewright.integrations.frameworks.pytorch.structure import (
    count_macs,
    count_parameters,
    describe,
    rebuild,
    share_of_zeros,
)
from edgewright.integrations.frameworks.pytorch.weights import WEIGHTS, apply_weights, read_weights, write_weights
from edgewright.model_passes import facts_after, is_sparse


def load_float(candidate: Candidate) -> nn.Module:
    """Return a candidate's live model in inference mode; its quantization, if it has any, is left out.

    Raises:
        ModelError: the architecture no longer builds, or no longer fits the weights.
    """
    facts = candidate.facts
    model = rebuild(build(facts.model, facts.input_shape, facts.outputs), facts.layers)
    apply_weights(model, read_weights(candidate.path / WEIGHTS), where=str(candidate.path))
    return model.eval()


def fine_tune(
    request: ModelPassRequest,
    model: nn.Module,
    training: Training,
    goal: Goal | None = None,
    part: str = "",
    splits: Splits | None = None,
) -> list[Epoch]:
    """Train a changed model on the train split, keep the best epoch on validation data, and return the history.

    Args:
        request: names data, metric and checkpoints.
        model: trained in place.
        training: how.
        goal: left out, the task's own loss, with zeros kept at zero where the candidate was sparse.
        part: tells several trainings of one pass apart.
        splits: the data, where the caller has read it already.
    """
    goal = goal or Goal(loss_function(request.data.card.task, training), after_step=keep_zeros(request, model))
    name = request.options.name
    return fit(
        model,
        training,
        goal,
        splits or Splits.of(request.data, request.metric),
        label=f"Training after {name}{f' ({part})' if part else ''}",
        checkpoints=request.checkpoints,
        digest=pass_digest(request, training, part),
    )


def keep_zeros(request: ModelPassRequest, model: nn.Module) -> Any:
    """Return what keeps weights at zero that are zero now, if the candidate was made sparse by an earlier pass."""
    if not is_sparse(request.candidate.facts):
        return lambda model: None  # noqa: ARG005
    masks = [(parameter, parameter != 0) for parameter in model.parameters() if parameter.dim() > 1]

    def zero_again(_: nn.Module) -> None:
        with torch.no_grad():
            for parameter, mask in masks:
                parameter.mul_(mask)

    return zero_again


def pass_digest(request: ModelPassRequest, training: Training, part: str) -> str:
    """Digest all that the weights of a pass depend on: nothing else's checkpoints are read."""
    parts = [
        request.candidate.digest,
        request.teacher.digest,
        request.data.digest,
        request.options.model_dump(mode="json"),
        training.model_dump(mode="json"),
        part,
        request.metric,
        request.seed,
        of_code("edgewright.integrations.frameworks.pytorch"),
        torch.__version__,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def finish(
    request: ModelPassRequest,
    model: nn.Module,
    history: list[Epoch],
    *,
    achieved: float | None = None,
    spec: ModelSpec | None = None,
    **changes: Any,
) -> CandidateFacts:
    """Write the weights, and return the candidate's facts with those of the pass.

    Args:
        request: what the pass was given.
        model: what it made, in inference mode.
        history: of the training after it.
        achieved: share that went, where one was asked for.
        spec: the model's own, where the pass took another architecture.
        changes: further fields of CandidateFacts.
    """
    given = request.candidate.facts
    spec = spec or given.model
    before = load_float(request.candidate)
    write_weights(model.state_dict(), request.out)
    judge = Splits.of(request.data, request.metric).judge
    inputs = judge.inputs.numpy()
    # a quantized model is counted as the float one it came from: its graph computes scales besides
    counted = before if changes.get("quantized") else model
    facts = facts_after(
        request,
        history,
        parameters=count_parameters(counted),
        macs=(given.macs or count_macs(before, given.input_shape), count_macs(counted, given.input_shape)),
        zeros=share_of_zeros(model),
        labels=judge.labels,
        outputs=(predict(before, inputs), predict(model, inputs)),
        achieved=achieved,
    )
    described = describe(model, build(spec, given.input_shape, given.outputs)) if not changes.get("quantized") else given.layers
    return facts.model_copy(update={"model": spec, "layers": described, **changes})
