# SPDX-License-Identifier: Apache-2.0
"""Fitting: epochs of optimizer steps, a validation score and a checkpoint after each, the best epoch's weights at the end.

One loop over ``tf.GradientTape`` for both generations of Keras. An interrupted training goes on where its last
checkpoint stands, and ends with the very weights it would have had.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.artifact import Epoch
from edgewright.config.model import Training
from edgewright.framework import Array
from edgewright.integrations.frameworks.keras import checkpoints as store
from edgewright.integrations.frameworks.keras.augment import augment, check_augmentation
from edgewright.integrations.frameworks.keras.build import finds_anomalies
from edgewright.integrations.frameworks.keras.engine import tf, trainable, variables
from edgewright.integrations.frameworks.keras.objective import Loss, Tensor, decayed, l1_penalty, optimizer_for
from edgewright.integrations.frameworks.keras.predict import predict
from edgewright.integrations.frameworks.keras.randomness import generator, seed_epoch
from edgewright.integrations.frameworks.keras.samples import Splits
from edgewright.progress import stage
from edgewright.training import best_of, is_finished, must_be_finite, rate_factor, validation_score


@dataclass(frozen=True)
class Goal:
    """What a training works towards, and what it keeps on the way."""

    loss: Loss
    """Between outputs and targets: on validation data, and on training data where there is no other objective."""
    learns: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
    """(inputs, outputs, targets) -> the objective on training data, where it is not the loss."""
    after_step: Callable[[], None] | None = None
    """Called after each optimizer step, compiled with it: keeps zeros at zero, for example."""


def fit(
    model: Any, training: Training, goal: Goal, data: Splits, *, seed: int, label: str, checkpoints: Path, digest: str
) -> list[Epoch]:
    """Train to the end, leave the best epoch's weights in the model, and return the history.

    Args:
        model: what is trained, in place.
        training: epochs, optimizer, learning rate.
        goal: what it works towards.
        data: what it learns from, and what each epoch is judged on.
        seed: of the order of the samples, and of all that the model draws.
        label: what is shown beside the progress.
        checkpoints: folder; one is written after each epoch, and training resumes from the newest.
        digest: of all that the weights depend on: no other training's checkpoints are read.

    Raises:
        ModelError: loss or score are not finite.
        ConfigError: samples of this shape cannot be augmented as asked.
    """
    check_augmentation(training.augmentation, data.learn.inputs.shape[1:])
    run = _Run(model, training, goal, data, seed)
    run.to_end(label, checkpoints, digest)
    run.take_best()
    return run.history


class _Run:
    """The state of one training: model, optimizer, history, best weights."""

    def __init__(self, model: Any, training: Training, goal: Goal, data: Splits, seed: int) -> None:
        self.model, self.training, self.goal, self.data, self.seed = model, training, goal, data, seed
        self.weights = trainable(model)
        self.optimizer = optimizer_for(training)
        self.optimizer.build(self.weights)
        self.state = {
            f"{part}/{index}": variable
            for part, found in (("model", variables(model)), ("optimizer", self.optimizer.variables))
            for index, variable in enumerate(found)
        }
        self.history: list[Epoch] = []
        self.best: dict[str, Array] = {}
        self._step = self._traced()
        self._draws = _draws(self._step)

    def to_end(self, label: str, checkpoints: Path, digest: str) -> None:
        """Train from the newest checkpoint, or from the start, until all epochs are through or none gets better."""
        self._resume(checkpoints, digest)
        resumed = f", from epoch {len(self.history) + 1}" if self.history else ""
        metric = self.data.metric
        with stage(label + resumed, total=self.training.epochs) as advance:
            advance(len(self.history))
            while not is_finished(self.history, self.training, metric):
                self._epoch(len(self.history) + 1)
                self._save(checkpoints, digest)
                advance(1, f"validation {metric.name} {self.history[-1].validation_score:.4g}")

    def take_best(self) -> None:
        """Put the best epoch's weights into the model."""
        for name, array in self.best.items():
            self.state[name].assign(array)

    def _epoch(self, epoch: int) -> None:
        train_loss, rate = self._learn(epoch)
        loss, score = self._judge(epoch)
        self.history.append(
            Epoch(epoch=epoch, train_loss=train_loss, validation_loss=loss, validation_score=score, learning_rate=rate)
        )
        if best_of(self.history, self.data.metric).epoch == epoch:
            self.best = {name: variable.numpy() for name, variable in self.state.items() if name.startswith("model/")}

    def _learn(self, epoch: int) -> tuple[float, float]:
        seed_epoch(self.seed, epoch)
        if self._draws:
            self._step = self._traced()  # a traced dropout keeps the seed it was traced with
        learn = self.data.learn
        rows, chance = np.flatnonzero(learn.normal), generator(self.seed, epoch)
        shuffled = chance.permutation(rows)
        # Batches of even size: a last batch of one sample would break batch normalization.
        batches = np.array_split(shuffled, ceil(len(rows) / self.training.batch_size))
        total = rate = 0.0
        for step, batch in enumerate(batches):
            at = epoch - 1 + (step + 0.5) / len(batches)
            rate = self.training.learning_rate * rate_factor(self.training.schedule, self.training.epochs, at)
            self.optimizer.learning_rate.assign(rate)
            inputs = augment(learn.inputs[batch], self.training.augmentation, chance)
            # What is to be reconstructed is what went in.
            targets = inputs if learn.targets is learn.inputs else learn.targets[batch]
            loss = float(self._step(tf.constant(inputs), tf.constant(targets)))
            must_be_finite(loss, epoch)
            total += loss * len(batch)
        return total / len(rows), rate

    def _traced(self) -> Any:
        arrays = (self.data.learn.inputs, self.data.learn.targets)
        return tf.function(self._update).get_concrete_function(
            *(tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in arrays)
        )

    def _update(self, inputs: Tensor, targets: Tensor) -> Tensor:
        with tf.GradientTape() as tape:
            outputs = self.model(inputs, training=True)
            loss = self.goal.learns(inputs, outputs, targets) if self.goal.learns else self.goal.loss(outputs, targets)
            if self.model.losses:  # regularizers of a user's layers
                loss += tf.add_n(self.model.losses)
            if self.training.l1:
                loss += self.training.l1 * l1_penalty(self.weights)
        found = zip(tape.gradient(loss, self.weights), self.weights, strict=True)
        pairs = [(gradient, weight) for gradient, weight in found if gradient is not None]  # a layer may not be in use
        self.optimizer.apply_gradients(decayed(pairs, self.training))
        if self.goal.after_step is not None:
            self.goal.after_step()
        return loss

    def _judge(self, epoch: int) -> tuple[float, float]:
        judge = self.data.judge
        outputs = predict(self.model, judge.inputs)
        if finds_anomalies(self.model):
            loss = float(outputs[judge.normal].mean())
        else:
            loss = float(self.goal.loss(tf.constant(outputs), tf.constant(judge.targets)))
        must_be_finite(loss, epoch)
        return loss, validation_score(self.data.metric, judge.labels, outputs)

    def _save(self, checkpoints: Path, digest: str) -> None:
        arrays = {name: variable.numpy() for name, variable in self.state.items()}
        best = {f"best/{name}": array for name, array in self.best.items()}
        facts = {"history": [epoch.model_dump() for epoch in self.history]}
        store.write(checkpoints, digest, len(self.history), arrays | best, facts)

    def _resume(self, checkpoints: Path, digest: str) -> None:
        found = store.newest(checkpoints, digest)
        if found is None:
            return
        arrays, facts = found
        for name, variable in self.state.items():
            variable.assign(arrays[name])
        self.best = {name.removeprefix("best/"): array for name, array in arrays.items() if name.startswith("best/")}
        self.history = [Epoch.model_validate(epoch) for epoch in facts["history"]]


def _draws(step: Any) -> bool:
    """Whether a traced step draws from TensorFlow's global generator; layers of Keras 3 have generators of their own."""
    graph = step.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return any("seed2" in node.attr for node in nodes)
