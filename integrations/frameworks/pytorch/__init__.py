# SPDX-License-Identifier: Apache-2.0
"""PyTorch: builds, trains, loads and runs models on the processor. torch is imported when a method needs it."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgewright.artifact import Candidate, CandidateFacts
from edgewright.config.data import Task
from edgewright.config.model import ModelSpec
from edgewright.config.model_passes import Cluster, Decompose, Distill, Prune, QatW8A8, Sparsify
from edgewright.data.dataset import Dataset
from edgewright.framework import Array, Framework, ModelPass, ModelPassRequest

if TYPE_CHECKING:  # `_later` imports these by name; digests of the code behind a step follow the imports that are written down
    from edgewright.integrations.frameworks.pytorch.passes import cluster, decompose, distill, prune, qat, sparsify  # noqa: F401


class PyTorch(Framework):
    """The PyTorch framework: live models are ``nn.Module``s, weights are safetensors."""

    name: ClassVar[str] = "pytorch"
    requires: ClassVar[tuple[str, ...]] = ("torch", "safetensors", "torch_pruning", "torchao", "tensorly")
    install: ClassVar[str] = "pip install 'edgewright[torch]'"
    layouts: ClassVar[Mapping[int, str]] = {3: "NCHW", 2: "NCL", 1: "NF"}
    architectures: ClassVar[tuple[str, ...]] = ("resnet8", "resnet20", "ds_cnn", "ds_resnet", "mlp", "cnn1d")

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
            ConfigError: such samples cannot be augmented as asked.
        """
        from edgewright.integrations.frameworks.pytorch.augment import check_augmentation
        from edgewright.integrations.frameworks.pytorch.build import starting_model

        if spec.training is not None:
            check_augmentation(spec.training.augmentation, sample)
        starting_model(spec, task, sample, outputs)

    def check_pass(self, step: Any, spec: ModelSpec, task: Task, sample: tuple[int, ...], outputs: int) -> None:
        """Make sure, without training, that a pass can be performed: a student builds and fits, and so does its teacher.

        Raises:
            ModelError: it cannot be performed on this model, or with this data.
            ConfigError: the student's samples cannot be augmented as asked.
        """
        if isinstance(step, Distill):
            from edgewright.integrations.frameworks.pytorch.passes.students import check_distill

            check_distill(step, spec, task, sample, outputs)
        if isinstance(step, Decompose):
            from edgewright.integrations.frameworks.pytorch.passes.decompose import check_decompose

            check_decompose(step, spec, sample, outputs)
        if isinstance(step, QatW8A8):
            from edgewright.integrations.frameworks.pytorch.passes.qat import check_qat

            check_qat(step, spec, task, sample, outputs)
        if isinstance(step, Prune):
            from edgewright.integrations.frameworks.pytorch.passes.prune import check_prune

            check_prune(step, spec, sample, outputs)
        if isinstance(step, Sparsify):
            from edgewright.integrations.frameworks.pytorch.passes.sparsify import check_sparsify

            check_sparsify(step, spec, sample, outputs)

    def students(self, spec: ModelSpec, sample: tuple[int, ...], outputs: int) -> tuple[tuple[str, dict[str, Any]], ...]:
        """Return up to three smaller models to distill into, largest first: narrower ones, or else shipped ones.

        Raises:
            ModelError: the model itself does not build, or does not take the sample.
        """
        from edgewright.integrations.frameworks.pytorch.passes.students import students

        return students(spec, sample, outputs)

    def train(self, spec: ModelSpec, data: Dataset, seed: int, metric: str, out: Path, checkpoints: Path) -> CandidateFacts:
        """Train the model, or only load its weights, and write the best epoch's as ``weights.safetensors``.

        Training resumes from the newest readable checkpoint of the same spec, data, metric, seed and code.

        Raises:
            ModelError: the model does not fit the data, or the loss or score is not finite.
        """
        from edgewright.integrations.frameworks.pytorch.training import train

        return train(spec, data, seed, metric, out, checkpoints)

    def load(self, candidate: Candidate) -> Any:
        """Return the candidate's ``nn.Module`` in inference mode; one trained with quantization rounds as integer kernels do.

        Raises:
            ModelError: the architecture no longer builds, or no longer fits the weights.
        """
        if candidate.facts.quantized:
            from edgewright.integrations.frameworks.pytorch.quantized import load_quantized

            return load_quantized(candidate)
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
