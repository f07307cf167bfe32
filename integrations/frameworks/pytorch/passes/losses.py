# SPDX-License-Identifier: Apache-2.0
"""What a student loses by differing from its teacher: pure functions of outputs, logits (N, C) or feature maps."""

import torch
from torch import Tensor
from torch.nn import functional

from edgewright.distillation import OTHERS_WEIGHT, TARGET_WEIGHT

HINT_WEIGHT = 5.0
"""Weight of the hints beside softened logits: with 1, the logits of small models drown them (measured on 8 x 8 digits)."""


def kd(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL divergence of softened classes, mean over samples, times temperature² so that its gradient keeps its size.

    Hinton, Vinyals & Dean, 2015 (arXiv:1503.02531).
    """
    return temperature**2 * _divergence((student / temperature).log_softmax(1), (teacher / temperature).log_softmax(1))


def dkd(student: Tensor, teacher: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Decoupled KD: how sure of the target class, and, weighted apart from it, how the other classes compare.

    Zhao et al., 2022 (arXiv:2203.08679), equation 7, without the warm-up of its weight over the first epochs: where a
    training diverges, schedule.warmup_epochs does the same.

    Args:
        student: logits (N, C).
        teacher: logits (N, C).
        targets: class indexes (N,).
        temperature: divides the logits.
    """
    sure_student, rest_student = _decoupled(student / temperature, targets)
    sure_teacher, rest_teacher = _decoupled(teacher / temperature, targets)
    target, others = _divergence(sure_student, sure_teacher), _divergence(rest_student, rest_teacher)
    return temperature**2 * (TARGET_WEIGHT * target + OTHERS_WEIGHT * others)


def hint(projected: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared error between feature maps, as a multiple of the teacher's mean square: layers then weigh the same.

    Romero et al., 2015 (FitNets, arXiv:1412.6550), equation 3, where the difference is not divided.
    """
    return functional.mse_loss(projected, wanted) / wanted.square().mean().clamp_min(_TINY)


_TINY = 1e-12  # a map that is zero throughout has nothing to teach, and must not divide


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    return functional.kl_div(student, teacher, reduction="batchmean", log_target=True)


def _decoupled(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Log probabilities of target against not target (N, 2), and of the other classes among themselves (N, C - 1)."""
    whole = logits.log_softmax(1)
    is_target = functional.one_hot(targets, logits.shape[1]).bool()
    others = whole[~is_target].reshape(len(logits), -1)
    return torch.stack([whole[is_target], others.logsumexp(1)], dim=1), others.log_softmax(1)
