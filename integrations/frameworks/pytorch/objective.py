# SPDX-License-Identifier: Apache-2.0
"""What a training minimizes and how: loss, penalty, optimizer. Pure functions of the configuration."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgewright.config.data import Task
from edgewright.config.model import Training

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
