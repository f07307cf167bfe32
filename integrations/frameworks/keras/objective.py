# SPDX-License-Identifier: Apache-2.0
"""What a training minimizes and how: loss, penalty, optimizer. Pure functions of the configuration."""

from collections.abc import Callable
from typing import Any

from edgewright.config.data import Task
from edgewright.config.model import Training
from edgewright.integrations.frameworks.keras.engine import keras, tf

Tensor = Any
"""A ``tf.Tensor``."""
Loss = Callable[[Tensor, Tensor], Tensor]
"""(outputs, targets) -> one value for the batch."""


def loss_function(task: Task, training: Training) -> Loss:
    """Cross-entropy for classes; mean squared error for values, and for a reconstruction against its input."""
    if task != "classification":
        return lambda outputs, targets: tf.reduce_mean(tf.square(outputs - tf.cast(targets, outputs.dtype)))

    def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
        classes = outputs.shape[-1]
        share = training.label_smoothing / classes
        wanted = tf.one_hot(targets, classes, on_value=1.0 - training.label_smoothing + share, off_value=share)
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(wanted, outputs))

    return cross_entropy


def distillation_loss(task: Task, training: Training, temperature: float, alpha: float) -> Callable[..., Tensor]:
    """(outputs, targets, teacher's outputs) -> loss: softened logits of the teacher, and the labels.

    Hinton et al., 2015 (arXiv:1503.02531): KL divergence at temperature T times T², so that its gradients keep their
    size. Values have no softened logits: there the student learns the teacher's by mean squared error.
    """
    own = loss_function(task, training)

    def classes(outputs: Tensor, targets: Tensor, taught: Tensor) -> Tensor:
        soft = tf.nn.softmax(taught / temperature)
        known = tf.nn.log_softmax(taught / temperature)
        divergence = tf.reduce_sum(soft * (known - tf.nn.log_softmax(outputs / temperature)), axis=-1)
        return alpha * temperature**2 * tf.reduce_mean(divergence) + (1 - alpha) * own(outputs, targets)

    def values(outputs: Tensor, targets: Tensor, taught: Tensor) -> Tensor:
        return alpha * tf.reduce_mean(tf.square(outputs - taught)) + (1 - alpha) * own(outputs, targets)

    return classes if task == "classification" else values


def l1_penalty(weights: list[Any]) -> Tensor:
    """Sum of absolute weights of convolutions and fully connected layers; biases and normalization are left out."""
    return tf.add_n([tf.reduce_sum(tf.abs(weight)) for weight in weights if len(weight.shape) > 1])


def optimizer_for(training: Training) -> Any:
    """The optimizer asked for; AdamW decays weights itself, for SGD ``decayed`` adds the decay to the gradients."""
    if training.optimizer == "sgd":
        return keras.optimizers.SGD(training.learning_rate, momentum=training.momentum, jit_compile=False)
    return keras.optimizers.AdamW(training.learning_rate, weight_decay=training.l2, epsilon=1e-8, jit_compile=False)


def decayed(pairs: list[tuple[Tensor, Any]], training: Training) -> list[tuple[Tensor, Any]]:
    """Gradients, beside their weights, with the weight decay of SGD: coupled, as PyTorch's is, where tf_keras decouples."""
    if training.optimizer != "sgd" or not training.l2:
        return pairs
    return [(gradient + training.l2 * weight, weight) for gradient, weight in pairs]
