# SPDX-License-Identifier: Apache-2.0
"""What every framework's passes have in common: how they train, when zeros have to stay, and the facts they leave."""

from edgewright.artifact import CandidateFacts, Epoch, PassFacts
from edgewright.config.model import Training
from edgewright.framework import Array, ModelPassRequest
from edgewright.metrics import metric as find_metric
from edgewright.training import best_of

_SPARSE = 0.01  # below this, zeros are accidents of training


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


def is_sparse(facts: CandidateFacts) -> bool:
    """Whether an earlier pass has made weights zero that have to stay so."""
    return any(step.zeros > _SPARSE for step in facts.passes)


def facts_after(
    request: ModelPassRequest,
    history: list[Epoch],
    *,
    parameters: int,
    macs: tuple[int, int],
    zeros: float,
    labels: Array,
    outputs: tuple[Array, Array],
    achieved: float | None = None,
) -> CandidateFacts:
    """Return the candidate's facts with those of the pass that was performed on it.

    Args:
        request: what the pass was given.
        history: of the training after it.
        parameters: of the model it made.
        macs: multiply-accumulates of one sample, before and after.
        zeros: share of the weights that are zero.
        labels: of the validation split.
        outputs: on the validation split, before and after.
        achieved: share that went, where one was asked for.
    """
    given, metric = request.candidate.facts, find_metric(request.metric)
    before, after = outputs
    classes = request.data.card.task == "classification"
    done = PassFacts(
        name=request.options.name,
        options=request.options.model_dump(mode="json"),
        parameters=(given.parameters, parameters),
        macs=macs,
        zeros=zeros,
        score=(float(metric.score(labels, before)), float(metric.score(labels, after))),
        agreement=float((before.argmax(1) == after.argmax(1)).mean()) if classes else None,
        achieved=achieved,
        history=tuple(history),
    )
    return given.model_copy(
        update={
            "parameters": parameters,
            "macs": macs[1],
            "recipe": "-".join([*(step.name for step in given.passes), done.name]),
            "passes": (*given.passes, done),
            "best_epoch": best_of(history, metric).epoch if history else given.best_epoch,
        }
    )
