# SPDX-License-Identifier: Apache-2.0
"""What every framework's training has in common: how the learning rate falls, which epoch is best, when it is over."""

from collections.abc import Sequence
from math import cos, pi

from edgewright.artifact import Epoch
from edgewright.config.model import Schedule, Training
from edgewright.metrics import Metric


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
