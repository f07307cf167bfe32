# SPDX-License-Identifier: Apache-2.0
"""Keras: builds, trains, loads and runs models of tf_keras (Keras 2) and Keras 3. TensorFlow is imported when needed."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgewright.artifact import Candidate, CandidateFacts
from edgewright.config.data import Task
from edgewright.config.model import ModelSpec
from edgewright.config.model_passes import Cluster, Distill, QatW8A8, Sparsify
from edgewright.data.dataset import Dataset
from edgewright.framework import Array, Framework, ModelPass, ModelPassRequest


class Keras(Framework):
    """The Keras framework: live models are ``tf_keras.Model``s or ``keras.Model``s, weights are safetensors."""

    name: ClassVar[str] = "keras"
    requires: ClassVar[tuple[str, ...]] = ("tensorflow", "tf_keras", "tensorflow_model_optimization", "safetensors")
    install: ClassVar[str] = "pip install 'edgewright[keras]'"
    layouts: ClassVar[Mapping[int, str]] = {3: "NHWC", 2: "NLC", 1: "NF"}
    architectures: ClassVar[tuple[str, ...]] = ("resnet8", "resnet20", "ds_cnn", "ds_resnet", "mlp", "cnn1d")

    @property
    def passes(self) -> Mapping[type[Any], ModelPass]:
        """Distillation, and what the TensorFlow Model Optimization toolkit (tfmot) does."""
        return {
            Distill: _later("distill:distill"),
            Sparsify: _later("sparsify:sparsify"),
            Cluster: _later("cluster:cluster"),
            QatW8A8: _later("qat:train_quantized"),
        }

    def check(self, spec: ModelSpec, task: Task, sample: tuple[int, ...], outputs: int) -> None:
        """Build the model with its starting weights and run one sample of zeros through it.

        Args:
            spec: the model.
            task: what it is for.
            sample: shape of one preprocessed sample in the framework's layout, no batch.
            outputs: length of the output vector; 0 for anomaly detection.

        Raises:
            ModelError: it does not build, does not take the sample, or its output does not fit the labels.
            ConfigError: such samples cannot be augmented as asked.
        """
        from edgewright.integrations.frameworks.keras.augment import check_augmentation
        from edgewright.integrations.frameworks.keras.build import starting_model

        if spec.training is not None:
            check_augmentation(spec.training.augmentation, sample)
        starting_model(spec, task, sample, outputs)

    def check_pass(self, step: Any, spec: ModelSpec, task: Task, sample: tuple[int, ...], outputs: int) -> None:
        """Make sure, without training, that a pass can be performed on the model: its student builds, its layers are known.

        Raises:
            ModelError: it cannot; the message says what to write instead.
        """
        from edgewright.integrations.frameworks.keras.passes.check import check_pass

        check_pass(step, spec, task, sample, outputs)

    def students(self, spec: ModelSpec, sample: tuple[int, ...], outputs: int) -> tuple[tuple[str, dict[str, Any]], ...]:
        """Return up to three smaller models to distill into, largest first: narrower ones, or else shipped ones.

        Raises:
            ModelError: the model itself does not build, or does not take the sample.
        """
        from edgewright.integrations.frameworks.keras.passes.students import students

        return students(spec, sample, outputs)

    def train(self, spec: ModelSpec, data: Dataset, seed: int, metric: str, out: Path, checkpoints: Path) -> CandidateFacts:
        """Train the model, or only load its weights, and write the best epoch's as ``weights.safetensors``.

        Training resumes from the newest readable checkpoint of the same spec, data, metric, seed and code.

        Raises:
            ModelError: the model does not fit the data, or the loss or score is not finite.
        """
        from edgewright.integrations.frameworks.keras.training import train

        return train(spec, data, seed, metric, out, checkpoints)

    def load(self, candidate: Candidate) -> Any:
        """Return the candidate's model; one that was trained with its quantization still simulates it.

        Raises:
            ModelError: the architecture no longer builds, or no longer fits the weights.
        """
        from edgewright.integrations.frameworks.keras.passes.common import load

        return load(candidate)

    def predict(self, model: Any, inputs: Array) -> Array:
        """Run float32 inputs (N, …): logits (N, C), values (N, K), or one anomaly score a sample (N,)."""
        from edgewright.integrations.frameworks.keras.predict import predict

        return predict(model, inputs)


def _later(path: str) -> ModelPass:
    """Return a pass that imports its module when it is performed: asking which passes there are imports no TensorFlow."""
    module, _, name = path.partition(":")

    def perform(request: ModelPassRequest) -> CandidateFacts:
        found = importlib.import_module(f"edgewright.integrations.frameworks.keras.passes.{module}")
        facts: CandidateFacts = getattr(found, name)(request)
        return facts

    return perform
