# SPDX-License-Identifier: Apache-2.0
"""Training the baseline: from a ModelSpec and data to weights in a file."""

from pathlib import Path

from edgewright.artifact import CandidateFacts, Epoch
from edgewright.config.model import ModelSpec
from edgewright.data.dataset import Dataset
from edgewright.integrations.frameworks.pytorch.build import starting_model
from edgewright.integrations.frameworks.pytorch.checkpoints import training_digest
from edgewright.integrations.frameworks.pytorch.fit import Goal, Splits, fit
from edgewright.integrations.frameworks.pytorch.objective import loss_function
from edgewright.integrations.frameworks.pytorch.randomness import seeded
from edgewright.integrations.frameworks.pytorch.structure import count_macs, count_parameters
from edgewright.integrations.frameworks.pytorch.weights import write_weights
from edgewright.training import best_of


def train(spec: ModelSpec, data: Dataset, seed: int, metric: str, out: Path, checkpoints: Path) -> CandidateFacts:
    """Train the model, or only load its weights; write ``out``/weights.safetensors and return where they came from.

    Raises:
        ModelError: the model does not fit the data, or loss or score are not finite.
    """
    splits = Splits.of(data, metric)
    sample = tuple(splits.learn.inputs.shape[1:])
    with seeded(seed, deterministic=spec.training is not None and spec.training.deterministic):
        model = starting_model(spec, data.card.task, sample, data.outputs)
        history: list[Epoch] = []
        if spec.training is not None:
            history = fit(
                model,
                spec.training,
                Goal(loss_function(data.card.task, spec.training)),
                splits,
                label=f"Training {spec.architecture}",
                checkpoints=checkpoints,
                digest=training_digest(spec, data, seed, metric),
            )
    write_weights(model.state_dict(), out)
    return CandidateFacts(
        framework=spec.framework,
        model=spec,
        input_shape=sample,
        outputs=data.outputs,
        parameters=count_parameters(model),
        macs=count_macs(model, sample),
        history=tuple(history),
        best_epoch=best_of(history, splits.metric).epoch if history else None,
    )
