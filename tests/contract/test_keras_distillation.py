# SPDX-License-Identifier: Apache-2.0
"""Distillation of Keras models: the losses and the students of PyTorch, and the rung of `ladder: auto` that uses them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_passes import performed, trained
from small_datasets import digits

from edgewright.auto_ladder import plan
from edgewright.config import ModelSpec
from edgewright.config.model_passes import Distill
from edgewright.integrations.frameworks.keras import Keras
from edgewright.integrations.frameworks.keras.engine import tf
from edgewright.integrations.frameworks.keras.objective import dkd, kd
from edgewright.integrations.frameworks.pytorch import PyTorch
from edgewright.integrations.frameworks.pytorch.passes import losses
from edgewright.plugins import create


@pytest.mark.parametrize("classes", [2, 10])
def test_losses_are_those_of_pytorch(classes: int) -> None:
    random = np.random.default_rng(0)
    student, teacher = random.normal(0, 3, (2, 16, classes)).astype(np.float32)
    teacher[0, 0] = 200.0  # certain
    targets = random.integers(0, classes, 16)
    theirs = torch.from_numpy(student), torch.from_numpy(teacher), torch.from_numpy(targets)
    assert float(kd(student, teacher, 4.0)) == pytest.approx(losses.kd(*theirs[:2], 4.0).item(), rel=1e-4)
    in_a_graph = tf.function(lambda *given: dkd(*given, 4.0))
    got = in_a_graph(tf.constant(student), tf.constant(teacher), tf.constant(targets))
    assert float(got) == pytest.approx(losses.dkd(*theirs, 4.0).item(), rel=1e-4)


@pytest.mark.parametrize(
    ("architecture", "options", "sample", "outputs"),
    [
        ("resnet8", {}, (8, 8, 1), 10),
        ("cnn1d", {"width": 32}, (32, 3), 4),
        ("mlp", {"hidden": [64], "bottleneck": 4}, (10,), 0),
        ("resnet8", {"width": 4}, (8, 8, 1), 10),
    ],
)
def test_students_are_those_of_pytorch(
    architecture: str, options: dict[str, Any], sample: tuple[int, ...], outputs: int
) -> None:
    ours = ModelSpec(framework="keras", architecture=architecture, options=options)
    theirs = ModelSpec(architecture=architecture, options=options)
    first = (sample[-1], *sample[:-1])
    assert Keras().students(ours, sample, outputs) == PyTorch().students(theirs, first, outputs)


def test_the_ladder_distills_into_the_shipped_student_and_trains_it_quantized() -> None:
    students = Keras().students(ModelSpec(framework="keras", architecture="resnet8"), (8, 8, 1), 10)
    planned = plan(create("runtimes", "litert"), Keras(), students)
    tried = [one.rung for one in planned if one.family == "distill" and not one.never]
    assert "distill.ds_resnet_w8-qat_w8a8.distill" in [rung.name for rung in tried]
    for step in tried[-1].passes:
        Keras().check_pass(step, ModelSpec(framework="keras", architecture="ds_resnet"), "classification", (8, 8, 1), 10)


def test_a_student_learns_by_decoupled_logits(tmp_path: Path) -> None:
    images = digits(tmp_path / "data", 400)
    baseline = trained("mlp", images, tmp_path / "teacher", framework="keras")
    step = Distill(student="mlp", options={"hidden": [16]}, loss="dkd", epochs=20)
    student = performed(step, baseline, baseline, images, tmp_path / "student")
    assert student.facts.recipe == "distill.mlp.dkd"
    assert student.facts.passes[-1].score[1] > 0.6  # chance is 0.1
