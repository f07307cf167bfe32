# SPDX-License-Identifier: Apache-2.0
"""Training: epochs of optimizer steps, a validation score and a checkpoint after each, the best epoch's weights at the end.

An interrupted training goes on where its last checkpoint stands, and ends with the very weights it would have had.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, isfinite
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgewright.artifact import CandidateFacts, Epoch
from edgewright.config.data import SplitName
from edgewright.config.model import ModelSpec, Training
from edgewright.data.dataset import Dataset
from edgewright.data.preprocess import channels_first
from edgewright.errors import ConfigError, ModelError
from edgewright.framework import Array
from edgewright.integrations.frameworks.pytorch import checkpoints as store
from edgewright.integrations.frameworks.pytorch.build import finds_anomalies, starting_model
from edgewright.integrations.frameworks.pytorch.objective import (
    Loss,
    best_of,
    is_finished,
    l1_penalty,
    loss_function,
    optimizer_for,
    rate_factor,
)
from edgewright.integrations.frameworks.pytorch.predict import predict
from edgewright.integrations.frameworks.pytorch.randomness import random_state, restore, seeded
from edgewright.integrations.frameworks.pytorch.weights import write_weights
from edgewright.metrics import Metric
from edgewright.metrics import metric as find_metric
from edgewright.progress import stage

Weights = dict[str, Tensor]


def train(
    spec: ModelSpec, data: Dataset, seed: int, metric: str, layouts: Mapping[int, str], out: Path, checkpoints: Path
) -> CandidateFacts:
    """Train the model, or only load its weights; write ``out``/weights.safetensors and return where they came from.

    Raises:
        ModelError: the model does not fit the data, or loss or score are not finite.
    """
    layout, task = layout_of(data, layouts), data.card.task
    learn, judge = _samples(data, "train", layout), _samples(data, "validation", layout)
    sample = tuple(learn.inputs.shape[1:])
    with seeded(seed, deterministic=spec.training is not None and spec.training.deterministic):
        model = starting_model(spec, task, sample, data.outputs)
        history: list[Epoch] = []
        scored_by = find_metric(metric)
        if spec.training is not None:
            run = _Run(model, spec.training, loss_function(task, spec.training), scored_by, learn, judge)
            run.to_end(f"Training {spec.architecture}", checkpoints, store.training_digest(spec, data, seed, metric))
            history = run.history
            model.load_state_dict(run.best)
    write_weights(model.state_dict(), out)
    return CandidateFacts(
        framework=spec.framework,
        model=spec,
        input_shape=sample,
        outputs=data.outputs,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        history=tuple(history),
        best_epoch=best_of(history, scored_by).epoch if history else None,
    )


def layout_of(data: Dataset, layouts: Mapping[int, str]) -> str:
    """Name the framework's layout of a batch of this data.

    Raises:
        ConfigError: the layout of stored samples is not known.
    """
    stored = data.card.preprocessing.layout
    if stored is None:
        raise ConfigError(
            "the layout of stored samples is not known", where="data.preprocessing.layout", to_do="name it, such as HWC"
        )
    return layouts[channels_first(data.stored("train")[:1], stored).ndim - 1]


@dataclass(frozen=True)
class _Samples:
    inputs: Tensor
    targets: Tensor
    """Class indexes, values, or the inputs themselves (anomaly detection)."""
    labels: Array
    normal: Tensor
    """Which samples a loss is taken over: all, or those without an anomaly."""


def _samples(data: Dataset, split: SplitName, layout: str) -> _Samples:
    inputs = torch.from_numpy(np.array(data.inputs(split, layout), np.float32, order="C"))
    labels = np.array(data.labels(split))
    if data.card.task == "anomaly":
        return _Samples(inputs, inputs, labels, torch.from_numpy(labels == 0))
    return _Samples(inputs, torch.from_numpy(labels), labels, torch.ones(len(labels), dtype=torch.bool))


class _Run:
    """The state of one training: model, optimizer, history, best weights."""

    def __init__(
        self, model: nn.Module, training: Training, loss: Loss, metric: Metric, learn: _Samples, judge: _Samples
    ) -> None:
        self.model, self.training, self.loss, self.metric = model, training, loss, metric
        self.learn, self.judge = learn, judge
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
        if best_of(self.history, self.metric).epoch == epoch:
            self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def _learn(self, epoch: int) -> tuple[float, float]:
        self.model.train()
        rows = self.learn.normal.nonzero().squeeze(1)
        # Batches of even size: a last batch of one sample would break batch normalization.
        batches = rows[torch.randperm(len(rows))].tensor_split(ceil(len(rows) / self.training.batch_size))
        total = rate = 0.0
        for step, batch in enumerate(batches):
            at = epoch - 1 + (step + 0.5) / len(batches)
            rate = self.training.learning_rate * rate_factor(self.training.schedule, self.training.epochs, at)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            loss = self.loss(self.model(self.learn.inputs[batch]), self.learn.targets[batch])
            if self.training.l1:
                loss = loss + self.training.l1 * l1_penalty(self.model)
            _must_be_finite(loss.item(), epoch)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            total += loss.item() * len(batch)
        return total / len(rows), rate

    def _judge(self, epoch: int) -> tuple[float, float]:
        self.model.eval()
        outputs = predict(self.model, self.judge.inputs.numpy())
        if finds_anomalies(self.model):
            loss = float(outputs[self.judge.normal.numpy()].mean())
        else:
            loss = self.loss(torch.from_numpy(outputs), self.judge.targets).item()
        _must_be_finite(loss, epoch)
        return loss, _score(self.metric, self.judge.labels, outputs)

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


def _score(metric: Metric, labels: Array, outputs: Array) -> float:
    try:
        score = float(metric.score(labels, outputs))
    except ValueError as error:
        raise _no_score(metric, str(error)) from error
    if not isfinite(score):
        raise _no_score(metric, f"it is {score}")
    return score


def _no_score(metric: Metric, why: str) -> ModelError:
    return ModelError(
        f"metric {metric.name!r} has no value on the validation split: {why}",
        where="metric",
        to_do="let data.splits.validation hold samples of every class, or choose another metric",
    )


def _must_be_finite(loss: float, epoch: int) -> None:
    if not isfinite(loss):
        raise ModelError(
            f"the loss is {loss} in epoch {epoch}",
            where="model.training",
            to_do="lower model.training.learning_rate (or add schedule.warmup_epochs), "
            "and check that data.preprocessing brings inputs near -1 … 1",
        )
