# SPDX-License-Identifier: Apache-2.0
"""Quantization-aware training: the model learns with the rounding that integer kernels will do.

Scales start from the calibration split, follow what is seen, and stand still for the last third of the steps, so that
the weights settle on the very grid they ship on. One graph then feeds every runtime.
"""

from math import ceil

import torch
from torch import Tensor, nn

from edgewright.artifact import CandidateFacts
from edgewright.config.data import Task
from edgewright.config.model import ModelSpec
from edgewright.config.model_passes import QatW8A8
from edgewright.data.calibration import MIN_CALIBRATION
from edgewright.errors import ConfigError
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.pytorch.build import build
from edgewright.integrations.frameworks.pytorch.fit import Goal, Objective, Splits
from edgewright.integrations.frameworks.pytorch.objective import Loss, loss_function
from edgewright.integrations.frameworks.pytorch.passes.common import fine_tune, finish, keep_zeros, load_float
from edgewright.integrations.frameworks.pytorch.passes.losses import kd
from edgewright.integrations.frameworks.pytorch.quantized import Prepared, calibrate, prepare, set_mode
from edgewright.integrations.frameworks.pytorch.randomness import seeded
from edgewright.integrations.frameworks.pytorch.samples import samples
from edgewright.model_passes import fine_tuning

_EPOCHS, _LEARNING_RATE = 0.25, 0.1
"""Shares of the baseline's: the weights are good already, and only have to move to a grid."""
_FREE = 2 / 3
"""Share of the steps after which scales stand still."""


def train_quantized(request: ModelPassRequest) -> CandidateFacts:
    """Train the candidate with int8 weights and 8-bit activations, from its float weights; write weights and scales.

    Raises:
        ConfigError: the calibration split is too small, or there are no classes to distill.
        ModelError: a layer cannot be quantized (it is named), or the loss is not finite.
    """
    _check_distill(request.options, request.data.card.task)
    data, training = request.data, fine_tuning(request, _EPOCHS, _LEARNING_RATE)
    loss = loss_function(data.card.task, training)
    learns = _distilling(request, loss) if request.options.distill else None
    with seeded(request.seed, deterministic=training.deterministic):
        float_model = load_float(request.candidate)
        prepared = prepare(float_model, request.candidate.facts.input_shape)
        calibrate(prepared, _calibration(request), float_model)
        splits = Splits.of(data, request.metric)
        steps = training.epochs * ceil(int(splits.learn.normal.sum()) / training.batch_size)
        scales = _Scales(prepared, round(_FREE * steps))
        zeros = keep_zeros(request, prepared)

        def after_step(model: nn.Module) -> None:
            zeros(model)
            scales.after_step(model)

        goal = Goal(loss, learns, after_step, scales.set_mode)
        history = fine_tune(request, prepared, training, goal, splits=splits)
        scales.remove(prepared)
    return finish(request, prepared, history, quantized=True)


def check_qat(options: QatW8A8, spec: ModelSpec, task: Task, sample: tuple[int, ...], outputs: int) -> None:
    """Make sure, without training, that every layer of a model can be quantized.

    Raises:
        ConfigError: there are no classes to distill.
        ModelError: a layer cannot be quantized; it is named.
    """
    _check_distill(options, task)
    prepare(build(spec, sample, outputs).eval(), sample)


class _Scales:
    """Lets scales follow what is seen for so many steps; the count is a buffer, so that checkpoints hold it."""

    def __init__(self, prepared: Prepared, free: int) -> None:
        self._free = free
        prepared.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def after_step(self, prepared: Prepared) -> None:
        prepared.steps += 1
        if prepared.steps == self._free:
            self.set_mode(prepared, True)

    def set_mode(self, prepared: Prepared, training: bool) -> None:
        set_mode(prepared, training, frozen=bool(prepared.steps >= self._free))

    def remove(self, prepared: Prepared) -> None:
        del prepared.steps


def _calibration(request: ModelPassRequest) -> Tensor:
    inputs = samples(request.data, "calibration").inputs
    if len(inputs) < MIN_CALIBRATION:
        raise ConfigError(
            f"{request.options.name} wants at least {MIN_CALIBRATION} calibration samples; there are {len(inputs)}",
            where="data.splits.calibration",
            to_do="give the calibration split more of the data",
        )
    return inputs


def _distilling(request: ModelPassRequest, loss: Loss) -> Objective:
    """The objective of learning from the float baseline's logits and from the labels."""
    options, teacher = request.options, load_float(request.teacher)

    def learns(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = teacher(inputs)
        outputs = model(inputs)
        mixed: Tensor = options.alpha * kd(outputs, wanted, options.temperature) + (1 - options.alpha) * loss(outputs, targets)
        return mixed

    return learns


def _check_distill(options: QatW8A8, task: Task) -> None:
    if options.distill and task != "classification":
        raise ConfigError(
            f"{options.name} learns from logits of classes, and the task is {task}",
            where=f"recipe {options.name}",
            to_do="use qat_w8a8",
        )
