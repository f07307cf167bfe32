# SPDX-License-Identifier: Apache-2.0
"""What a training minimizes and how: loss, penalty, optimizer. Pure functions of the configuration."""

from collections.abc import Callable
from typing import Any

from edgewright.config.data import Task
from edgewright.config.model import Training
from edgewright.distillation import OTHERS_WEIGHT, TARGET_WEIGHT
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


def distillation_loss(
    task: Task, training: Training, temperature: float, alpha: float, *, decoupled: bool = False
) -> Callable[..., Tensor]:
    """(outputs, targets, teacher's outputs) -> loss: softened logits of the teacher, and the labels.

    Values have no softened logits: there the student learns the teacher's by mean squared error.

    Args:
        task: classification, or one with values.
        training: of the student.
        temperature: softens the logits.
        alpha: weight of the teacher; the labels have the rest.
        decoupled: match logits by ``dkd`` instead of ``kd``.
    """
    own = loss_function(task, training)

    def matched(outputs: Tensor, targets: Tensor, taught: Tensor) -> Tensor:
        if task != "classification":
            return tf.reduce_mean(tf.square(outputs - taught))
        if decoupled:
            return dkd(outputs, taught, targets, temperature)
        return kd(outputs, taught, temperature)

    def loss(outputs: Tensor, targets: Tensor, taught: Tensor) -> Tensor:
        return alpha * matched(outputs, targets, taught) + (1 - alpha) * own(outputs, targets)

    return loss


def kd(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL divergence of softened classes, mean over samples, times temperature² so that its gradient keeps its size.

    Hinton, Vinyals & Dean, 2015 (arXiv:1503.02531). Logits are (N, C).
    """
    known, learned = (tf.nn.log_softmax(logits / temperature) for logits in (teacher, student))
    return temperature**2 * _divergence(learned, known)


def dkd(student: Tensor, teacher: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Decoupled KD: how sure of the target class, and, weighted apart from it, how the other classes compare.

    Zhao et al., 2022 (arXiv:2203.08679), equation 7, without the warm-up of its weight. Logits are (N, C), targets (N,).
    """
    sure_student, rest_student = _decoupled(student / temperature, targets)
    sure_teacher, rest_teacher = _decoupled(teacher / temperature, targets)
    target, others = _divergence(sure_student, sure_teacher), _divergence(rest_student, rest_teacher)
    return temperature**2 * (TARGET_WEIGHT * target + OTHERS_WEIGHT * others)


def _divergence(learned: Tensor, known: Tensor) -> Tensor:
    """KL divergence of log probabilities (N, C), mean over samples."""
    return tf.reduce_mean(tf.reduce_sum(tf.exp(known) * (known - learned), axis=-1))


def _decoupled(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Log probabilities of target against not target (N, 2), and of the other classes among themselves (N, C - 1)."""
    whole, classes = tf.nn.log_softmax(logits), logits.shape[-1]
    is_target = tf.one_hot(targets, classes, on_value=True, off_value=False, dtype=tf.bool)
    others = tf.reshape(tf.boolean_mask(whole, ~is_target), (-1, classes - 1))
    sure = tf.stack([tf.boolean_mask(whole, is_target), tf.reduce_logsumexp(others, axis=-1)], axis=1)
    return sure, tf.nn.log_softmax(others)


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
