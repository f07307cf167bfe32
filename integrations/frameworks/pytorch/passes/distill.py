# SPDX-License-Identifier: Apache-2.0
"""Knowledge distillation: a student learns what its teacher answers, and what the labels say.

What a student loses is alpha times its difference from the teacher and 1 - alpha times the task's own loss. Outputs that
are no classes (values, reconstructions) are matched by mean squared error.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgewright.artifact import CandidateFacts, Epoch
from edgewright.config.model import Augmentation, Training
from edgewright.config.model_passes import SELF, Distill
from edgewright.distillation import spec_of, training_of
from edgewright.fingerprint import of_code, of_path
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.pytorch.build import starting_model
from edgewright.integrations.frameworks.pytorch.fit import Goal, Splits, fit
from edgewright.integrations.frameworks.pytorch.objective import Loss, loss_function
from edgewright.integrations.frameworks.pytorch.passes import losses
from edgewright.integrations.frameworks.pytorch.passes.common import finish, keep_zeros, load_float, pass_digest
from edgewright.integrations.frameworks.pytorch.passes.features import Features, Hinted
from edgewright.integrations.frameworks.pytorch.passes.students import check_distill
from edgewright.integrations.frameworks.pytorch.passes.teachers import ask, ask_all, teachers_of
from edgewright.integrations.frameworks.pytorch.randomness import seeded

Lesson = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(inputs, what the train split has for targets) -> targets and the teachers' answers."""


def distill(request: ModelPassRequest) -> CandidateFacts:
    """Train a student to answer as its teacher does, and write its weights.

    Raises:
        ModelError: student, teacher and data do not fit each other, or the training diverges.
    """
    step, facts, baseline = request.options, request.candidate.facts, request.teacher.facts.model
    task = request.data.card.task
    check_distill(step, baseline, task, facts.input_shape, facts.outputs)
    teachers, training = teachers_of(request), training_of(step, baseline)
    spec = facts.model if step.student == SELF else spec_of(step, baseline)
    with seeded(request.seed, deterministic=training.deterministic):
        if step.student == SELF:
            student = load_float(request.candidate)
        else:
            student = starting_model(spec, task, facts.input_shape, facts.outputs)
        history = _teach(request, student, teachers, training)
    return finish(request, student, history, spec=spec)


def _teach(request: ModelPassRequest, student: nn.Module, teachers: Sequence[nn.Module], training: Training) -> list[Epoch]:
    """Train the student in place, and return the history."""
    step, splits = request.options, Splits.of(request.data, request.metric)
    labels = loss_function(request.data.card.task, training)
    classes = request.data.card.task == "classification"
    model: nn.Module = student
    with ExitStack() as stack:
        if step.loss == "hint":
            model = Hinted(student, teachers[0], request.candidate.facts.input_shape)
            watched = stack.enter_context(Features(student)), stack.enter_context(Features(teachers[0]))
            objective = _Objective(step, labels, classes, _ask_live(teachers), watched)
        elif training.augmentation == Augmentation() or (classes and training.augmentation == Augmentation(flip=True)):
            splits, lesson = ask_once(teachers, splits)
            objective = _Objective(step, labels, classes, lesson)
        else:
            objective = _Objective(step, labels, classes, _ask_live(teachers, half=classes))
        return fit(
            model,
            training,
            Goal(labels, learns=objective, after_step=keep_zeros(request, student)),
            splits,
            label=f"Training by {step.name}",
            checkpoints=request.checkpoints,
            digest=pass_digest(request, training, part=_further(step)),
        )


@dataclass(frozen=True)
class _Objective:
    """What the student loses on a batch."""

    step: Distill
    labels: Loss
    classes: bool
    lesson: Lesson
    watched: tuple[Features, Features] | None = None
    """The student's and the teacher's feature maps."""

    def __call__(self, model: nn.Module, inputs: Tensor, given: Tensor) -> Tensor:
        targets, answers = self.lesson(inputs, given)
        outputs = model(inputs)
        taught = self._taught(outputs, answers, targets)
        if self.watched is not None and isinstance(model, Hinted):
            taught = taught + losses.HINT_WEIGHT * _hints(model, *self.watched)
        return self.step.alpha * taught + (1 - self.step.alpha) * self.labels(outputs, targets)

    def _taught(self, outputs: Tensor, answers: Tensor, targets: Tensor) -> Tensor:
        if not self.classes:
            return functional.mse_loss(outputs, answers)
        if self.step.loss == "dkd":
            return losses.dkd(outputs, answers, targets, self.step.temperature)
        return losses.kd(outputs, answers, self.step.temperature)


def _hints(model: Hinted, student: Features, teacher: Features) -> Tensor:
    wanted = [teacher.maps[size] for size in model.sizes]
    pairs = zip(model.project(student.maps), wanted, strict=True)
    return torch.stack([losses.hint(projected, one) for projected, one in pairs]).mean()


def _ask_live(teachers: Sequence[nn.Module], *, half: bool = False) -> Lesson:
    """The teachers answer each batch anew: it is augmented, or their feature maps are wanted too.

    Logits that are softened anyway may come in half precision.
    """
    return lambda inputs, targets: (targets, ask(teachers, inputs, half=half))


def ask_once(teachers: Sequence[nn.Module], splits: Splits) -> tuple[Splits, Lesson]:
    """The teachers answer the train split once, and once flipped where it is flipped; answers are looked up.

    Batches then carry row numbers for targets. Which samples chance has flipped is seen in the batch.
    """
    learn = splits.learn
    answers, rows = ask_all(teachers, learn.inputs), torch.arange(len(learn.inputs))
    of_flipped: list[Tensor] = []

    def look_up(inputs: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        flipped = (inputs != learn.inputs[batch]).flatten(1).any(1, keepdim=True)
        if not flipped.any():
            return learn.targets[batch], answers[batch]
        if not of_flipped:
            of_flipped.append(ask_all(teachers, learn.inputs.flip(-1)))
        return learn.targets[batch], torch.where(flipped, of_flipped[0][batch], answers[batch])

    return replace(splits, learn=replace(learn, targets=rows)), look_up


def _further(step: Distill) -> str:
    """Digest what the student depends on beside the request: the code of this pass and of a user's, a teacher's weights."""
    paths = [step.student, *([step.teacher.architecture] if step.teacher else [])]
    parts = [of_code(module) for module in (__name__, *(path.partition(":")[0] for path in paths if ":" in path))]
    parts += [of_path(Path(step.teacher.weights))] if step.teacher else []
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
