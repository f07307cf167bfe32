# SPDX-License-Identifier: Apache-2.0
"""What every model pass begins and ends with: a copy of the live model, training after the change, and the facts of both."""

import hashlib
import json
from typing import Any

import torch
from torch import nn

from edgewright.artifact import Candidate, CandidateFacts, Epoch, PassFacts
from edgewright.config.model import ModelSpec, Training
from edgewright.fingerprint import of_code
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.pytorch.build import build
from edgewright.integrations.frameworks.pytorch.fit import Goal, Splits, fit
from edgewright.integrations.frameworks.pytorch.objective import best_of, loss_function
from edgewright.integrations.frameworks.pytorch.predict import predict
from edgewright.integrations.frameworks.pytorch.structure import (
    count_macs,
    count_parameters,
    describe,
    rebuild,
    share_of_zeros,
)
from edgewright.integrations.frameworks.pytorch.weights import WEIGHTS, apply_weights, read_weights, write_weights
from edgewright.metrics import metric as find_metric


def load_float(candidate: Candidate) -> nn.Module:
    """Return a candidate's live model in inference mode; its quantization, if it has any, is left out.

    Raises:
        ModelError: the architecture no longer builds, or no longer fits the weights.
    """
    facts = candidate.facts
    model = rebuild(build(facts.model, facts.input_shape, facts.outputs), facts.layers)
    apply_weights(model, read_weights(candidate.path / WEIGHTS), where=str(candidate.path))
    return model.eval()


def fine_tuning(request: ModelPassRequest, epochs: float, rate: float) -> Training:
    """Return how a pass trains: as the baseline was, but for what the pass says, or else for these shares of it.

    Args:
        request: its options may name epochs and learning_rate.
        epochs: share of the baseline's epochs, at least one.
        rate: share of the baseline's learning rate.
    """
    base, options = request.teacher.facts.model.training or Training(), request.options
    return base.model_copy(
        update={
            "epochs": options.epochs or max(1, round(base.epochs * epochs)),
            "learning_rate": options.learning_rate or base.learning_rate * rate,
            "early_stopping": None,
        }
    )


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
    if not is_sparse(request):
        return lambda model: None  # noqa: ARG005
    masks = [(parameter, parameter != 0) for parameter in model.parameters() if parameter.dim() > 1]

    def zero_again(_: nn.Module) -> None:
        with torch.no_grad():
            for parameter, mask in masks:
                parameter.mul_(mask)

    return zero_again


def is_sparse(request: ModelPassRequest) -> bool:
    """Whether an earlier pass has made weights zero that have to stay it."""
    return any(step.zeros > _SPARSE for step in request.candidate.facts.passes)


_SPARSE = 0.01  # below this, zeros are accidents of training


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
    before, after = load_float(request.candidate), model
    write_weights(model.state_dict(), request.out)
    metric = find_metric(request.metric)
    splits = Splits.of(request.data, request.metric)
    outputs = [predict(one, splits.judge.inputs.numpy()) for one in (before, after)]
    scores = [float(metric.score(splits.judge.labels, one)) for one in outputs]
    classes = request.data.card.task == "classification"
    # a quantized model is counted as the float one it came from: its graph computes scales besides
    counted = before if changes.get("quantized") else model
    parameters = count_parameters(counted)
    macs = count_macs(counted, given.input_shape)
    done = PassFacts(
        name=request.options.name,
        options=request.options.model_dump(mode="json"),
        parameters=(given.parameters, parameters),
        macs=(given.macs or count_macs(before, given.input_shape), macs),
        zeros=share_of_zeros(model),
        score=(scores[0], scores[1]),
        agreement=float((outputs[0].argmax(1) == outputs[1].argmax(1)).mean()) if classes else None,
        achieved=achieved,
        history=tuple(history),
    )
    names = [step.name for step in given.passes] + [done.name]
    described = describe(model, build(spec, given.input_shape, given.outputs)) if not changes.get("quantized") else given.layers
    return given.model_copy(
        update={
            "model": spec,
            "parameters": parameters,
            "macs": macs,
            "recipe": "-".join(names),
            "passes": (*given.passes, done),
            "layers": described,
            "history": given.history,
            "best_epoch": best_of(history, metric).epoch if history else given.best_epoch,
            **changes,
        }
    )
