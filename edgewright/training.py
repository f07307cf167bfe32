# SPDX-License-Identifier: Apache-2.0
"""What every framework's training has in common: how the learning rate falls, which epoch is best, when it is over or lost."""

from collections.abc import Sequence
from math import cos, isfinite, pi

from edgewright.artifact import Epoch
from edgewright.config.model import Augmentation, Schedule, Training
from edgewright.errors import ConfigError, ModelError
from edgewright.framework import Array
from edgewright.metrics import Metric

AUGMENTATION = "model.training.augmentation"
_IMAGE, _SERIES = 3, 2  # rank of one sample


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


def validation_score(metric: Metric, labels: Array, outputs: Array) -> float:
    """Score an epoch on validation data.

    Raises:
        ModelError: the metric has no value there.
    """
    try:
        score = float(metric.score(labels, outputs))
    except ValueError as error:
        raise _no_score(metric, str(error)) from error
    if not isfinite(score):
        raise _no_score(metric, f"it is {score}")
    return score


def must_be_finite(loss: float, epoch: int) -> None:
    """Make sure that a training has not diverged.

    Raises:
        ModelError: the loss is not finite.
    """
    if not isfinite(loss):
        raise ModelError(
            f"the loss is {loss} in epoch {epoch}",
            where="model.training",
            to_do="lower model.training.learning_rate (or add schedule.warmup_epochs), "
            "and check that data.preprocessing brings inputs near -1 … 1",
        )


def check_augmentation(augmentation: Augmentation, sample: tuple[int, ...], lengths: tuple[int, ...]) -> None:
    """Make sure that samples can be augmented as asked.

    Args:
        augmentation: what is asked.
        sample: shape of one sample, no batch.
        lengths: those of its axes that a sample is moved along: all but the channels'.

    Raises:
        ConfigError: they are no images (flip), have no axis to move along (shift), or would be moved out of sight.
    """
    if augmentation.flip and len(sample) != _IMAGE:
        raise ConfigError(
            f"only images can be flipped; one sample has the shape {sample}",
            where=f"{AUGMENTATION}.flip",
            to_do="remove 'flip'",
        )
    if augmentation.shift and len(sample) < _SERIES:
        raise ConfigError(
            f"features of a table cannot be shifted; one sample has the shape {sample}",
            where=f"{AUGMENTATION}.shift",
            to_do="remove 'shift'; 'noise' works on tables",
        )
    shortest = min(lengths, default=0)
    if augmentation.shift and augmentation.shift >= shortest:
        raise ConfigError(
            f"a shift of {augmentation.shift} can move a sample of shape {sample} out of sight",
            where=f"{AUGMENTATION}.shift",
            to_do=f"write less than {shortest}; an eighth of the length is usual",
        )


def _no_score(metric: Metric, why: str) -> ModelError:
    return ModelError(
        f"metric {metric.name!r} has no value on the validation split: {why}",
        where="metric",
        to_do="let data.splits.validation hold samples of every class, or choose another metric",
    )
