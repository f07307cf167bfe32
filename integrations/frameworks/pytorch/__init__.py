# SPDX-License-Identifier: Apache-2.0
"""PyTorch: builds, trains, loads and runs models on the processor. torch is imported when a method needs it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgewright.artifact import Candidate, CandidateFacts
from edgewright.config.data import Task
from edgewright.config.model import ModelSpec
from edgewright.data.dataset import Dataset
from edgewright.framework import Array, Framework


class PyTorch(Framework):
    """The PyTorch framework: live models are ``nn.Module``s, weights are safetensors."""

    name: ClassVar[str] = "pytorch"
    requires: ClassVar[tuple[str, ...]] = ("torch", "safetensors")
    install: ClassVar[str] = "pip install 'edgewright[torch]'"
    layouts: ClassVar[Mapping[int, str]] = {3: "NCHW", 2: "NCL", 1: "NF"}
    architectures: ClassVar[tuple[str, ...]] = ("resnet8", "ds_cnn", "mlp", "cnn1d")

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

        return train(spec, data, seed, metric, self.layouts, out, checkpoints)

    def load(self, candidate: Candidate) -> Any:
        """Return the candidate's ``nn.Module`` in inference mode.

        Raises:
            ModelError: the architecture no longer builds, or no longer fits the weights.
        """
        from edgewright.integrations.frameworks.pytorch.build import build
        from edgewright.integrations.frameworks.pytorch.weights import WEIGHTS, apply_weights, read_weights

        facts = candidate.facts
        model = build(facts.model, facts.input_shape, facts.outputs)
        apply_weights(model, read_weights(candidate.path / WEIGHTS), where=str(candidate.path))
        return model.eval()

    def predict(self, model: Any, inputs: Array) -> Array:
        """Run float32 inputs (N, …): logits (N, C), values (N, K), or one anomaly score a sample (N,)."""
        from edgewright.integrations.frameworks.pytorch.predict import predict

        return predict(model, inputs)
