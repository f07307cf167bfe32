# SPDX-License-Identifier: Apache-2.0
"""What can be known of a pass without training: whether tfmot takes the model, and whether student and teacher fit."""

from typing import Any

from edgewright.config.data import Task
from edgewright.config.model import ModelSpec
from edgewright.config.model_passes import SELF, Cluster, Distill, QatW8A8, Sparsify
from edgewright.errors import EdgewrightError, ModelError
from edgewright.integrations.frameworks.keras.augment import check_augmentation
from edgewright.integrations.frameworks.keras.build import build, starting_model
from edgewright.integrations.frameworks.keras.passes.cluster import clusterable
from edgewright.integrations.frameworks.keras.passes.common import require_tfmot
from edgewright.integrations.frameworks.keras.passes.distill import spec_of, training_of
from edgewright.integrations.frameworks.keras.passes.qat import simulate
from edgewright.integrations.frameworks.keras.passes.sparsify import check_sparsify

_TFMOT = (Sparsify, Cluster, QatW8A8)


def check_pass(step: Any, spec: ModelSpec, task: Task, sample: tuple[int, ...], outputs: int) -> None:
    """Make sure that a pass can be performed on the model.

    Args:
        step: the pass.
        spec: the model; of a student that a pass before has made, the student's.
        task: what it is for.
        sample: shape of one sample, no batch.
        outputs: length of the output vector; 0 for anomaly detection.

    Raises:
        ModelError: it cannot; the layer or option is named.
        ConfigError: the student's samples cannot be augmented as asked.
    """
    if isinstance(step, Distill):
        _check_distill(step, spec, task, sample, outputs)
    elif isinstance(step, _TFMOT):
        model = build(spec, sample, outputs)
        require_tfmot(model, step.name)
        if isinstance(step, Sparsify):
            check_sparsify(model, step)
        if isinstance(step, Cluster) and not clusterable(model, step.clusters):
            raise ModelError(
                f"no layer of the model has more than {step.clusters} weights to share",
                where=step.name,
                to_do="ask for fewer clusters, or leave the pass out",
            )
        if isinstance(step, QatW8A8):
            simulate(model)


def _check_distill(step: Distill, baseline: ModelSpec, task: Task, sample: tuple[int, ...], outputs: int) -> None:
    where = f"{step.name}, "
    if step.loss != "kd" or step.ensemble > 1:
        raise ModelError(
            f"Keras models are distilled by their logits, from one teacher; this asks for {step.name}",
            where=where + ("loss" if step.loss != "kd" else "ensemble"),
            to_do="write 'loss: kd' without 'ensemble', or take 'framework: pytorch'",
        )
    if step.student == SELF and step.options:
        raise ModelError(
            "the student is the model itself, whose options stand in model.options",
            where=where + "options",
            to_do="remove 'options', or name a student",
        )
    check_augmentation(training_of(step, baseline).augmentation, sample)
    try:
        if step.student != SELF:
            starting_model(spec_of(step, baseline), task, sample, outputs)
        if step.teacher is not None:
            starting_model(
                ModelSpec(framework=baseline.framework, **step.teacher.model_dump(), training=None), task, sample, outputs
            )
    except EdgewrightError as error:
        raise type(error)(error.what, where=where + error.where, to_do=error.to_do) from error
