# SPDX-License-Identifier: Apache-2.0
"""Students: which model a distillation starts, whether it can be distilled into, and which ones are worth trying."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from edgewright.config.data import Task
from edgewright.config.model import ModelSpec
from edgewright.config.model_passes import SELF, Distill
from edgewright.distillation import check_asked, said_of, spec_of
from edgewright.errors import EdgewrightError, ModelError
from edgewright.integrations.frameworks.pytorch.augment import check_augmentation
from edgewright.integrations.frameworks.pytorch.build import build, run_zeros, starting_model
from edgewright.integrations.frameworks.pytorch.models import ARCHITECTURES
from edgewright.integrations.frameworks.pytorch.passes.features import channels
from edgewright.integrations.frameworks.pytorch.passes.teachers import own_teacher
from edgewright.integrations.frameworks.pytorch.structure import count_macs
from edgewright.students import Student
from edgewright.students import students as smaller_models

Sample = tuple[int, ...]


def check_distill(step: Distill, baseline: ModelSpec, task: Task, sample: Sample, outputs: int) -> None:
    """Make sure, without training, that the baseline can be distilled as asked.

    Args:
        step: the pass.
        baseline: the model that the student learns from, unless the pass names another.
        task: what both are for.
        sample: shape of one sample, no batch.
        outputs: length of the output vector; 0 for anomaly detection.

    Raises:
        ModelError: student or teacher do not build or do not fit, or the loss is none for them.
        ConfigError: the student's samples cannot be augmented as asked.
    """
    check_asked(step, baseline, task)
    teacher, student = _teacher(step, baseline, task, sample, outputs), _student(step, baseline, task, sample, outputs)
    if task == "anomaly" and run_zeros(teacher, sample).shape != (1, *sample):
        raise ModelError(
            "a teacher that returns one anomaly score has no reconstruction that a student could learn",
            where=f"{step.name}, teacher",
            to_do="take a teacher that reconstructs its input, such as 'mlp'",
        )
    if step.loss == "hint":
        _check_features(step, channels(teacher, sample), channels(student, sample))


def students(spec: ModelSpec, sample: Sample, outputs: int) -> tuple[Student, ...]:
    """Return the smaller models that `ladder: auto` may distill the model into, largest first.

    Raises:
        ModelError: the model itself does not build or does not take the sample.
    """
    task: Task = "classification" if outputs else "anomaly"

    def macs(spec: ModelSpec) -> int:
        return count_macs(starting_model(spec, task, sample, outputs), sample)

    return smaller_models(spec, ARCHITECTURES, sample, outputs, macs)


def _teacher(step: Distill, baseline: ModelSpec, task: Task, sample: Sample, outputs: int) -> nn.Module:
    if step.teacher is None:
        return build(baseline, sample, outputs).eval()
    try:
        return own_teacher(step.teacher, task, sample, outputs)
    except EdgewrightError as error:
        raise said_of(step, "teacher.", error) from error


def _student(step: Distill, baseline: ModelSpec, task: Task, sample: Sample, outputs: int) -> nn.Module:
    try:
        if step.training is not None:
            check_augmentation(step.training.augmentation, sample)
        if step.student == SELF:
            return build(baseline, sample, outputs).eval()
        return starting_model(spec_of(step, baseline), task, sample, outputs)
    except EdgewrightError as error:
        raise said_of(step, "", error) from error


def _check_features(step: Distill, teacher: dict[Any, int], student: dict[Any, int]) -> None:
    if teacher.keys() & student.keys():
        return

    def listed(sizes: Iterable[tuple[int, int]]) -> str:
        return ", ".join(f"{height} x {width}" for height, width in sizes) or "none"

    raise ModelError(
        "a hint compares feature maps of one size, and teacher and student have none in common: "
        f"the teacher's are {listed(teacher)}; the student's are {listed(student)}",
        where=f"{step.name}, loss",
        to_do="write 'loss: kd' or 'loss: dkd', or take convolutional models that downsample alike",
    )
