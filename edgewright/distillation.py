# SPDX-License-Identifier: Apache-2.0
"""Distillation in any framework: what the student is, how it is trained, and requests that contradict themselves."""

from edgewright.config.data import Task
from edgewright.config.model import ModelSpec, Training
from edgewright.config.model_passes import SELF, Distill
from edgewright.errors import EdgewrightError, ModelError

TARGET_WEIGHT = 1.0
"""Weight of the target class in DKD: alpha of Zhao et al., 2022 (arXiv:2203.08679), as published for CIFAR-100."""
OTHERS_WEIGHT = 8.0
"""Weight of the other classes in DKD: beta of Zhao et al., 2022, as published for CIFAR-100."""


def training_of(step: Distill, baseline: ModelSpec) -> Training:
    """How the student is trained: as the pass says, or else as the baseline was; epochs and learning rate on top."""
    given = {"epochs": step.epochs, "learning_rate": step.learning_rate}
    training = step.training or baseline.training or Training()
    return training.model_copy(update={key: value for key, value in given.items() if value is not None})


def spec_of(step: Distill, baseline: ModelSpec) -> ModelSpec:
    """The student's model; only for one that starts anew."""
    return ModelSpec(
        framework=baseline.framework, architecture=step.student, options=step.options, training=training_of(step, baseline)
    )


def check_asked(step: Distill, baseline: ModelSpec, task: Task) -> None:
    """Make sure that what the pass asks for fits together, whatever the models are.

    Raises:
        ModelError: it does not; the message says what to write instead.
    """
    if step.loss == "dkd" and task != "classification":
        raise ModelError(
            f"dkd compares classes, and the task is {task}",
            where=f"{step.name}, loss",
            to_do="write 'loss: kd', which matches the teacher's outputs, or 'loss: hint'",
        )
    if step.student == SELF and step.options:
        raise ModelError(
            "the student is the model itself, whose options stand in model.options",
            where=f"{step.name}, options",
            to_do="remove 'options', or name a student",
        )
    if step.ensemble > 1 and step.teacher is not None:
        raise ModelError(
            "an ensemble is trained like the baseline, and a teacher of your own is named too",
            where=f"{step.name}, ensemble",
            to_do="remove 'ensemble' or 'teacher'",
        )
    if step.ensemble > 1 and baseline.training is None:
        raise ModelError(
            "the other members of an ensemble are trained as the baseline was, which has 'training: null'",
            where=f"{step.name}, ensemble",
            to_do="remove 'ensemble', or give model.training",
        )


def said_of(step: Distill, part: str, error: EdgewrightError) -> EdgewrightError:
    """Say of the pass's own keys what was said of the baseline's; ``part``: '' for the student, 'teacher.' for the teacher."""

    def said(text: str) -> str:
        text = text.replace("model.architecture", f"{part}architecture" if part else "student")
        text = text.replace("below model", f"below {part.rstrip('.')}" if part else "below the pass")
        text = text.replace("model.training", f"{part}training")
        return text.replace("model.options", f"{part}options").replace("model.weights", f"{part}weights")

    return type(error)(error.what, where=f"{step.name}, {said(error.where)}", to_do=said(error.to_do))
