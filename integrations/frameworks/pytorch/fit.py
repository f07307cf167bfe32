# SPDX-License-Identifier: Apache-2.0
"""Fitting: epochs of optimizer steps, a validation score and a checkpoint after each, the best epoch's weights at the end.

An interrupted training goes on where its last checkpoint stands, and ends with the very weights it would have had.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import torch
from torch import Tensor, nn

from edgewright.artifact import Epoch
from edgewright.config.model import Training
from edgewright.data.dataset import Dataset
from edgewright.integrations.frameworks.pytorch import checkpoints as store
from edgewright.integrations.frameworks.pytorch.augment import augment, check_augmentation
from edgewright.integrations.frameworks.pytorch.build import finds_anomalies
from edgewright.integrations.frameworks.pytorch.memory import keep_freed_memory
from edgewright.integrations.frameworks.pytorch.objective import Loss, l1_penalty, optimizer_for
from edgewright.integrations.frameworks.pytorch.predict import predict
from edgewright.integrations.frameworks.pytorch.randomness import random_state, restore
from edgewright.integrations.frameworks.pytorch.samples import Samples, samples
from edgewright.metrics import Metric
from edgewright.metrics import metric as find_metric
from edgewright.progress import stage
from edgewright.training import best_of, is_finished, must_be_finite, rate_factor, validation_score

Weights = dict[str, Tensor]
Objective = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""(model, inputs, targets) -> what an optimizer step makes smaller."""


@dataclass(frozen=True)
class Splits:
    """What is learned from and what an epoch is judged on."""

    learn: Samples
    judge: Samples
    metric: Metric

    @classmethod
    def of(cls, data: Dataset, metric: str) -> "Splits":
        """Read the train and validation splits."""
        return cls(samples(data, "train"), samples(data, "validation"), find_metric(metric))


def _nothing(model: nn.Module) -> None:
    del model


def _no_epoch(model: nn.Module, epoch: int) -> None:
    del model, epoch


def _set_mode(model: nn.Module, training: bool) -> None:
    model.train(training)


@dataclass(frozen=True)
class Goal:
    """What a training works towards, and what it keeps on the way."""

    loss: Loss
    """Between outputs and targets: on validation data, and on training data where there is no other objective."""
    learns: Objective | None = None
    """The objective on training data, where it is not the loss."""
    after_step: Callable[[nn.Module], None] = _nothing
    """Called after each optimizer step: keeps zeros at zero, for example."""
    mode: Callable[[nn.Module, bool], None] = _set_mode
    """Puts the model into training mode or inference mode."""
    before_epoch: Callable[[nn.Module, int], None] = _no_epoch
    """Called before each epoch with its number, from 1; also before the first after a resume: what grows with the epochs."""
    keeps_from: int = 1
    """First epoch whose weights may be kept as the best: before it, what the training works towards is not reached."""

    def kept(self, history: Sequence[Epoch], metric: Metric) -> Epoch | None:
        """The best epoch of those that may be kept; None where there is none yet."""
        return best_of(history[self.keeps_from - 1 :], metric) if len(history) >= self.keeps_from else None

    def objective(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """What an optimizer step makes smaller."""
        if self.learns is not None:
            return self.learns(model, inputs, targets)
        return self.loss(model(inputs), targets)


def fit(
    model: nn.Module, training: Training, goal: Goal, data: Splits, *, label: str, checkpoints: Path, digest: str
) -> list[Epoch]:
    """Train to the end, leave the best epoch's weights in the model, and return the history.

    Args:
        model: what is trained, in place.
        training: epochs, optimizer, learning rate.
        goal: what it works towards.
        data: what it learns from, and what each epoch is judged on.
        label: what is shown beside the progress.
        checkpoints: folder; one is written after each epoch, and training resumes from the newest.
        digest: of all that the weights depend on: no other training's checkpoints are read.

    Raises:
        ModelError: loss or score are not finite.
        ConfigError: samples of this shape cannot be augmented as asked.
    """
    check_augmentation(training.augmentation, tuple(data.learn.inputs.shape[1:]))
    keep_freed_memory()
    run = _Run(model, training, goal, data)
    run.to_end(label, checkpoints, digest)
    model.load_state_dict(run.best)
    goal.mode(model, False)
    return run.history


_IMAGES = 4
"""Axes of a batch of images; in training they lie in memory with channels last, which processors convolve faster."""


class _Run:
    """The state of one training: model, optimizer, history, best weights."""

    def __init__(self, model: nn.Module, training: Training, goal: Goal, data: Splits) -> None:
        self.model, self.training, self.goal, self.metric = model, training, goal, data.metric
        self.learn, self.judge = data.learn, data.judge
        if self.learn.inputs.dim() == _IMAGES:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch documents it, its stubs do not have it
        self.optimizer = optimizer_for(model, training)
        self.history: list[Epoch] = []
        self.best: Weights = {}

    def to_end(self, label: str, checkpoints: Path, digest: str) -> None:
        """Train from the newest checkpoint, or from the start, until all epochs are through or none gets better."""
        self._resume(checkpoints, digest)
        resumed = f", from epoch {len(self.history) + 1}" if self.history else ""
        with stage(label + resumed, total=self.training.epochs) as advance:
            advance(len(self.history))
            while not is_finished(self.history, self.training, self.metric):
                self._epoch(len(self.history) + 1)
                self._save(checkpoints, digest)
                advance(1, f"validation {self.metric.name} {self.history[-1].validation_score:.4g}")

    def _epoch(self, epoch: int) -> None:
        train_loss, rate = self._learn(epoch)
        loss, score = self._judge(epoch)
        self.history.append(
            Epoch(epoch=epoch, train_loss=train_loss, validation_loss=loss, validation_score=score, learning_rate=rate)
        )
        kept = self.goal.kept(self.history, self.metric)
        if kept is not None and kept.epoch == epoch:
            self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def _learn(self, epoch: int) -> tuple[float, float]:
        self.goal.before_epoch(self.model, epoch)
        self.goal.mode(self.model, True)
        rows = self.learn.normal.nonzero().squeeze(1)
        # Batches of even size: a last batch of one sample would break batch normalization.
        batches = rows[torch.randperm(len(rows))].tensor_split(ceil(len(rows) / self.training.batch_size))
        total = rate = 0.0
        for step, batch in enumerate(batches):
            at = epoch - 1 + (step + 0.5) / len(batches)
            rate = self.training.learning_rate * rate_factor(self.training.schedule, self.training.epochs, at)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            loss = self.goal.objective(self.model, *self._augmented(batch))
            if self.training.l1:
                loss = loss + self.training.l1 * l1_penalty(self.model)
            must_be_finite(loss.item(), epoch)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.goal.after_step(self.model)
            total += loss.item() * len(batch)
        return total / len(rows), rate

    def _augmented(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        inputs = augment(self.learn.inputs[batch], self.training.augmentation)
        if inputs.dim() == _IMAGES:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        # What is to be reconstructed is what went in.
        return inputs, inputs if self.learn.targets is self.learn.inputs else self.learn.targets[batch]

    def _judge(self, epoch: int) -> tuple[float, float]:
        self.goal.mode(self.model, False)
        outputs = predict(self.model, self.judge.inputs.numpy())
        if finds_anomalies(self.model):
            loss = float(outputs[self.judge.normal.numpy()].mean())
        else:
            loss = self.goal.loss(torch.from_numpy(outputs), self.judge.targets).item()
        must_be_finite(loss, epoch)
        return loss, validation_score(self.metric, self.judge.labels, outputs)

    def _save(self, checkpoints: Path, digest: str) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "history": [epoch.model_dump() for epoch in self.history],
            "random": random_state(),
        }
        store.write(checkpoints, digest, len(self.history), state)

    def _resume(self, checkpoints: Path, digest: str) -> None:
        state = store.newest(checkpoints, digest)
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best = state["best"]
        self.history = [Epoch.model_validate(epoch) for epoch in state["history"]]
        restore(state["random"])
