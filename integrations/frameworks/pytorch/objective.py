# SPDX-License-Identifier: Apache-2.0
"""What a training minimizes and how: loss, penalty, optimizer, learning rate. Pure functions of the configuration."""

from collections.abc import Callable, Sequence
from math import cos, pi

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgewright.artifact import Epoch
from edgewright.config.data import Task
from edgewright.config.model import Schedule, Training
from edgewright.metrics import Metric

Loss = Callable[[Tensor, Tensor], Tensor]


def loss_function(task: Task, training: Training) -> Loss:
    """Cross-entropy for classes; mean squared error for values, and for a reconstruction against its input."""
    if task == "classification":
        return nn.CrossEntropyLoss(label_smoothing=training.label_smoothing)
    return functional.mse_loss


def l1_penalty(model: nn.Module) -> Tensor:
    """Sum of absolute weights of convolutions and linear layers; biases and normalization are left out."""
    return torch.stack([parameter.abs().sum() for parameter in model.parameters() if parameter.dim() > 1]).sum()


def optimizer_for(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """The optimizer asked for, with its weight decay."""
    if training.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), training.learning_rate, momentum=training.momentum, weight_decay=training.l2)
    return torch.optim.AdamW(model.parameters(), training.learning_rate, weight_decay=training.l2)


def rate_factor(schedule: Schedule, epochs: int, at: float) -> float:
    """Share of the full learning rate at a time counted in epochs, 0 <= at <= epochs.

    Cosine is SGDR without restarts (Loshchilov & Hutter, 2017, arXiv:1608.03983), over the epochs after warm-up.
    """
    if at < schedule.warmup_epochs:
        return at / schedule.warmup_epochs
    since, length = at - schedule.warmup_epochs, epochs - schedule.warmup_epochs
    if schedule.kind == "cosine":
        return (1 + cos(pi * since / length)) / 2
    if schedule.kind == "step":
        return float(schedule.gamma ** (since // schedule.step_epochs))
    return 1.0


def best_of(history: Sequence[Epoch], metric: Metric) -> Epoch:
    """The epoch with the best validation score; the earliest of equals."""
    sign = 1 if metric.higher_is_better else -1
    return max(history, key=lambda epoch: sign * epoch.validation_score)


def is_finished(history: Sequence[Epoch], training: Training, metric: Metric) -> bool:
    """Whether all epochs are through, or early stopping has waited long enough for a better one."""
    if len(history) >= training.epochs:
        return True
    if training.early_stopping is None or not history:
        return False
    return history[-1].epoch - best_of(history, metric).epoch >= training.early_stopping
