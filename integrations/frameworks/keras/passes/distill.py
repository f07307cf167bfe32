# SPDX-License-Identifier: Apache-2.0
"""Knowledge distillation: a student learns from the softened logits of a teacher, and from the labels."""

from typing import Any

from edgewright.artifact import CandidateFacts
from edgewright.config.model import ModelSpec
from edgewright.config.model_passes import SELF, Distill
from edgewright.distillation import spec_of, training_of
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.keras.build import starting_model
from edgewright.integrations.frameworks.keras.fit import Goal
from edgewright.integrations.frameworks.keras.objective import Tensor, distillation_loss, loss_function
from edgewright.integrations.frameworks.keras.passes.common import fine_tune, finish, load, zeros_kept
from edgewright.integrations.frameworks.keras.randomness import seeded
from edgewright.integrations.frameworks.keras.samples import Splits
from edgewright.model_passes import is_sparse


def distill(request: ModelPassRequest) -> CandidateFacts:
    """Train the student; one that is another architecture starts anew, 'self' goes on from the weights it has.

    Raises:
        ModelError: student or teacher do not build or do not fit the data.
    """
    options, facts = request.options, request.candidate.facts
    task, splits = request.data.card.task, Splits.of(request.data, request.metric)
    anew = options.student != SELF
    baseline = request.teacher.facts.model
    spec, training = spec_of(options, baseline) if anew else facts.model, training_of(options, baseline)
    with seeded(request.seed, deterministic=training.deterministic):
        teacher = teacher_of(options, request, task)
        student = starting_model(spec, task, facts.input_shape, facts.outputs) if anew else load(request.candidate)
        taught = distillation_loss(task, training, options.temperature, options.alpha, decoupled=options.loss == "dkd")

        def learns(inputs: Tensor, outputs: Tensor, targets: Tensor) -> Tensor:
            return taught(outputs, targets, teacher(inputs, training=False))

        keep = zeros_kept(student) if is_sparse(facts) and not anew else None
        goal = Goal(loss_function(task, training), learns, after_step=keep)
        history = fine_tune(request, student, training, splits, goal)
    return finish(request, student, history, splits, spec=spec)


def teacher_of(step: Distill, request: ModelPassRequest, task: Any) -> Any:
    """Return the trained baseline, or the user's own model with its weights."""
    if step.teacher is None:
        return load(request.teacher)
    facts = request.teacher.facts
    spec = ModelSpec(framework=facts.framework, **step.teacher.model_dump(), training=None)
    return starting_model(spec, task, facts.input_shape, facts.outputs)
