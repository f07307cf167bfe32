# SPDX-License-Identifier: Apache-2.0
"""What can be known of a pass without training: whether tfmot takes the model, and whether student and teacher fit."""

from typing import Any

from edgewright.config.data import Task
from edgewright.config.model import ModelSpec
from edgewright.config.model_passes import SELF, Cluster, Distill, QatW8A8, Sparsify
from edgewright.distillation import check_asked, said_of, spec_of, training_of
from edgewright.errors import EdgewrightError, ModelError
from edgewright.integrations.frameworks.keras.augment import check_augmentation
from edgewright.integrations.frameworks.keras.build import build, starting_model
from edgewright.integrations.frameworks.keras.passes.cluster import clusterable
from edgewright.integrations.frameworks.keras.passes.common import require_tfmot
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
    if step.loss == "hint" or step.ensemble > 1:
        raise ModelError(
            f"Keras models are distilled by their logits, from one teacher; this asks for {step.name}",
            where=f"{step.name}, {'loss' if step.loss == 'hint' else 'ensemble'}",
            to_do="write 'loss: kd' or 'loss: dkd' without 'ensemble', or take 'framework: pytorch'",
        )
    check_asked(step, baseline, task)
    try:
        check_augmentation(training_of(step, baseline).augmentation, sample)
        if step.student != SELF:
            starting_model(spec_of(step, baseline), task, sample, outputs)
    except EdgewrightError as error:
        raise said_of(step, "", error) from error
    if step.teacher is not None:
        own = ModelSpec(framework=baseline.framework, **step.teacher.model_dump(), training=None)
        try:
            starting_model(own, task, sample, outputs)
        except EdgewrightError as error:
            raise said_of(step, "teacher.", error) from error
