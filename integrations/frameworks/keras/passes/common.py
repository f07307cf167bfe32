# SPDX-License-Identifier: Apache-2.0
"""What every model pass begins and ends with: a copy of the live model, training after the change, and the facts of both."""

from collections.abc import Callable
from typing import Any

from edgewright.artifact import Candidate, CandidateFacts, Epoch
from edgewright.config.model import ModelSpec, Training
from edgewright.errors import ModelError
from edgewright.fingerprint import of_code
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.keras.build import build, mark_task
from edgewright.integrations.frameworks.keras.checkpoints import digest_of
from edgewright.integrations.frameworks.keras.engine import is_keras3, keras
from edgewright.integrations.frameworks.keras.fit import Goal, fit
from edgewright.integrations.frameworks.keras.objective import loss_function
from edgewright.integrations.frameworks.keras.predict import predict
from edgewright.integrations.frameworks.keras.samples import Splits
from edgewright.integrations.frameworks.keras.structure import count_macs, count_parameters, kernels, share_of_zeros
from edgewright.integrations.frameworks.keras.weights import WEIGHTS, apply_weights, read_weights, write_weights
from edgewright.model_passes import facts_after


def load(candidate: Candidate) -> Any:
    """Return a candidate's live model; one that was trained with its quantization comes with its simulation.

    Raises:
        ModelError: the architecture no longer builds, or no longer fits the weights.
    """
    facts = candidate.facts
    model = build(facts.model, facts.input_shape, facts.outputs)
    if facts.quantized:
        from edgewright.integrations.frameworks.keras.passes.qat import simulate

        model = simulate(model)
        mark_task(model, facts.outputs)
    apply_weights(model, read_weights(candidate.path / WEIGHTS, model), where=str(candidate.path))
    return model


def require_tfmot(model: Any, asked: str) -> None:
    """Make sure that tfmot can take a model apart.

    Raises:
        ModelError: it is one of Keras 3, or a subclass of Model, which has no graph of layers.
    """
    if is_keras3(model):
        raise ModelError(
            f"{asked} is done by tfmot, which takes no models of Keras 3",
            where="model.architecture",
            to_do="build the model with tf_keras, or leave the pass out; ptq_w8a8 works on the exported file",
        )
    if not isinstance(model, keras.Sequential) and not model._is_graph_network:
        raise ModelError(
            f"{asked} is done by tfmot, which takes functional and Sequential models; this is {type(model).__name__}",
            where="model.architecture",
            to_do="return tf_keras.Model(inputs, outputs) or tf_keras.Sequential, or leave the pass out",
        )


def fine_tune(
    request: ModelPassRequest, model: Any, training: Training, splits: Splits, goal: Goal | None = None
) -> list[Epoch]:
    """Train a changed model on the train split, keep the best epoch on validation data, and return the history.

    Args:
        request: names data, metric and checkpoints.
        model: trained in place.
        training: how.
        splits: the data.
        goal: left out, the task's own loss.
    """
    mark_task(model, request.candidate.facts.outputs)
    return fit(
        model,
        training,
        goal or Goal(loss_function(request.data.card.task, training)),
        splits,
        seed=request.seed,
        label=f"Training after {request.options.name}",
        checkpoints=request.checkpoints,
        digest=_digest(request, training),
    )


def zeros_kept(model: Any) -> Callable[[], None]:
    """Return what puts weights back to zero that are zero now."""
    masks = [(kernel, (kernel.numpy() != 0).astype(kernel.dtype.as_numpy_dtype)) for kernel in kernels(model)]

    def zero_again() -> None:
        for kernel, mask in masks:
            kernel.assign(kernel * mask)

    return zero_again


def _digest(request: ModelPassRequest, training: Training) -> str:
    """Digest all that the weights of a pass depend on: nothing else's checkpoints are read."""
    return digest_of(
        request.candidate.digest,
        request.teacher.digest,
        request.data.digest,
        request.options.model_dump(mode="json"),
        training.model_dump(mode="json"),
        request.metric,
        request.seed,
        of_code("edgewright.integrations.frameworks.keras"),
    )


def finish(
    request: ModelPassRequest,
    model: Any,
    history: list[Epoch],
    splits: Splits,
    *,
    achieved: float | None = None,
    spec: ModelSpec | None = None,
    quantized: bool = False,
) -> CandidateFacts:
    """Write the weights, and return the candidate's facts with those of the pass.

    Args:
        request: what the pass was given.
        model: what it made.
        history: of the training after it.
        splits: the data; both models are scored on its validation half.
        achieved: share that went, where one was asked for.
        spec: the model's own, where the pass took another architecture.
        quantized: whether the model was trained with its quantization.
    """
    given = request.candidate.facts
    mark_task(model, given.outputs)
    write_weights(model, request.out)
    before, judge = load(request.candidate), splits.judge
    facts = facts_after(
        request,
        history,
        parameters=count_parameters(model),
        macs=(given.macs or count_macs(before, given.input_shape), count_macs(model, given.input_shape)),
        zeros=share_of_zeros(model),
        labels=judge.labels,
        outputs=(predict(before, judge.inputs), predict(model, judge.inputs)),
        achieved=achieved,
    )
    return facts.model_copy(update={"model": spec or given.model, "quantized": quantized})
