# SPDX-License-Identifier: Apache-2.0
"""Students: which model a distillation starts, whether it can be distilled into, and which ones are worth trying."""

import inspect
from collections.abc import Iterable
from typing import Any

from torch import nn

from edgewright.config.data import Task
from edgewright.config.model import ModelSpec, Training
from edgewright.config.model_passes import SELF, Distill
from edgewright.errors import EdgewrightError, ModelError
from edgewright.integrations.frameworks.pytorch.augment import check_augmentation
from edgewright.integrations.frameworks.pytorch.build import build, run_zeros, starting_model
from edgewright.integrations.frameworks.pytorch.models import ARCHITECTURES
from edgewright.integrations.frameworks.pytorch.passes.features import channels
from edgewright.integrations.frameworks.pytorch.passes.teachers import own_teacher
from edgewright.integrations.frameworks.pytorch.structure import count_macs
from edgewright.plugins import load_object

Sample = tuple[int, ...]
Student = tuple[str, dict[str, Any]]
MOST = 3
"""Students that `ladder: auto` tries."""
SHARE = 0.5
"""Of the baseline's multiply-accumulates, at most this many are a student's: one that is hardly smaller is not worth a rung."""
NARROWEST, EVEN = 4, 8
"""Channels a student has at least; and of what they are a multiple where possible, since most kernels want it."""


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
    _check_asked(step, baseline, task)
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
    """Return up to three students of at most half the model's multiply-accumulates, largest first.

    For images the same architecture with half its width, where it has one, and `ds_resnet`, which is more accurate for its
    size; for other samples half and a quarter of the width, or else shipped models for such samples.

    Raises:
        ModelError: the model itself does not build or does not take the sample.
    """
    whole = count_macs(build(spec, sample, outputs).eval(), sample)
    if len(sample) == _IMAGE and outputs:
        return _worthwhile([*_narrower(spec)[:1], *_shipped(sample, outputs)], whole, sample, outputs)
    return _worthwhile(_narrower(spec), whole, sample, outputs) or _worthwhile(
        _shipped(sample, outputs), whole, sample, outputs
    )


def _check_asked(step: Distill, baseline: ModelSpec, task: Task) -> None:
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


def _teacher(step: Distill, baseline: ModelSpec, task: Task, sample: Sample, outputs: int) -> nn.Module:
    if step.teacher is None:
        return build(baseline, sample, outputs).eval()
    try:
        return own_teacher(step.teacher, task, sample, outputs)
    except EdgewrightError as error:
        raise _said_of(step, "teacher.", error) from error


def _student(step: Distill, baseline: ModelSpec, task: Task, sample: Sample, outputs: int) -> nn.Module:
    try:
        if step.training is not None:
            check_augmentation(step.training.augmentation, sample)
        if step.student == SELF:
            return build(baseline, sample, outputs).eval()
        return starting_model(spec_of(step, baseline), task, sample, outputs)
    except EdgewrightError as error:
        raise _said_of(step, "", error) from error


def _said_of(step: Distill, part: str, error: EdgewrightError) -> EdgewrightError:
    """Say of the pass's own keys what was said of the baseline's."""

    def said(text: str) -> str:
        text = text.replace("model.architecture", f"{part}architecture" if part else "student")
        text = text.replace("below model", f"below {part.rstrip('.')}" if part else "below the pass")
        text = text.replace("model.training", f"{part}training")
        return text.replace("model.options", f"{part}options").replace("model.weights", f"{part}weights")

    return type(error)(error.what, where=f"{step.name}, {said(error.where)}", to_do=said(error.to_do))


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


def _worthwhile(candidates: Iterable[Student], whole: int, sample: Sample, outputs: int) -> tuple[Student, ...]:
    """Those that build, fit and are small enough, largest first; of those with one name in a recipe, the largest."""
    found: dict[str, tuple[int, Student]] = {}
    for architecture, options in candidates:
        try:
            model = starting_model(
                ModelSpec(architecture=architecture, options=options),
                "classification" if outputs else "anomaly",
                sample,
                outputs,
            )
        except EdgewrightError:
            continue  # nobody asked for it
        macs = count_macs(model, sample)
        if macs <= SHARE * whole:
            name = Distill(student=architecture, options=options).name
            found[name] = max(found.get(name, (0, (architecture, options))), (macs, (architecture, options)), key=_size)
    return tuple(student for _, student in sorted(found.values(), key=_size, reverse=True)[:MOST])


_IMAGE = 3


def _size(counted: tuple[int, Student]) -> int:
    return counted[0]


def _narrower(spec: ModelSpec) -> list[Student]:
    name = spec.architecture
    function = ARCHITECTURES.get(name) or load_object(name, asked_for="model.architecture")
    defaults = {key: one.default for key, one in inspect.signature(function).parameters.items()}
    given = {key: spec.options.get(key, default) for key, default in defaults.items()}
    if isinstance(given.get("width"), int):
        widths = dict.fromkeys(_channels(given["width"], part) for part in (2, 4))
        return [(name, {**spec.options, "width": width}) for width in widths]
    if name == "mlp":
        return [(name, {**spec.options, "hidden": [_channels(one, part) for one in given["hidden"]]}) for part in (2, 4)]
    return []


def _channels(width: int, part: int) -> int:
    """A part of a width, rounded down to what kernels like where that leaves something."""
    narrow = max(NARROWEST, width // part)
    return narrow - narrow % EVEN if narrow >= EVEN else narrow


def _shipped(sample: Sample, outputs: int) -> list[Student]:
    if not outputs or len(sample) == 1:
        return [("mlp", {"hidden": [hidden, hidden]}) for hidden in (64, 32, 16)]
    name, widths = {2: ("cnn1d", (16, 8)), 3: ("ds_resnet", (16, 8))}[len(sample)]
    return [(name, {"width": width}) for width in widths]
