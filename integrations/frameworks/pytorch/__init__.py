# SPDX-License-Identifier: Apache-2.0
"""PyTorch: builds, trains, loads and runs models on the processor. torch is imported when a method needs it."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgewright.artifact import Candidate, CandidateFacts
from edgewright.config.data import Task
from edgewright.config.model import ModelSpec
from edgewright.config.model_passes import Cluster, Decompose, Distill, Prune, QatW8A8, Sparsify
from edgewright.data.dataset import Dataset
from edgewright.framework import Array, Framework, ModelPass, ModelPassRequest


class PyTorch(Framework):
    """The PyTorch framework: live models are ``nn.Module``s, weights are safetensors."""

    name: ClassVar[str] = "pytorch"
    requires: ClassVar[tuple[str, ...]] = ("torch", "safetensors", "torch_pruning", "torchao", "tensorly")
    install: ClassVar[str] = "pip install 'edgewright[torch]'"
    layouts: ClassVar[Mapping[int, str]] = {3: "NCHW", 2: "NCL", 1: "NF"}
    architectures: ClassVar[tuple[str, ...]] = ("resnet8", "ds_cnn", "mlp", "cnn1d")

    @property
    def passes(self) -> Mapping[type[Any], ModelPass]:
        """All model passes."""
        return {
            Distill: _later("distill:distill"),
            Prune: _later("prune:prune"),
            Sparsify: _later("sparsify:sparsify"),
            Decompose: _later("decompose:decompose"),
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
        """
        from edgewright.integrations.frameworks.pytorch.build import starting_model

        starting_model(spec, task, sample, outputs)

    def train(self, spec: ModelSpec, data: Dataset, seed: int, metric: str, out: Path, checkpoints: Path) -> CandidateFacts:
        """Train the model, or only load its weights, and write the best epoch's as ``weights.safetensors``.

        Training resumes from the newest readable checkpoint of the same spec, data, metric, seed and code.

        Raises:
            ModelError: the model does not fit the data, or the loss or score is not finite.
        """
        from edgewright.integrations.frameworks.pytorch.training import train

        return train(spec, data, seed, metric, out, checkpoints)

    def load(self, candidate: Candidate) -> Any:
        """Return the candidate's ``nn.Module`` in inference mode.

        Raises:
            ModelError: the architecture no longer builds, or no longer fits the weights.
        """
        from edgewright.integrations.frameworks.pytorch.passes.common import load_float

        return load_float(candidate)

    def predict(self, model: Any, inputs: Array) -> Array:
        """Run float32 inputs (N, …): logits (N, C), values (N, K), or one anomaly score a sample (N,)."""
        from edgewright.integrations.frameworks.pytorch.predict import predict

        return predict(model, inputs)


def _later(path: str) -> ModelPass:
    """Return a pass that imports its module when it is performed: asking which passes there are imports no torch."""
    module, _, name = path.partition(":")

    def perform(request: ModelPassRequest) -> CandidateFacts:
        found = importlib.import_module(f"edgewright.integrations.frameworks.pytorch.passes.{module}")
        facts: CandidateFacts = getattr(found, name)(request)
        return facts

    return perform
