# SPDX-License-Identifier: Apache-2.0
"""What a student is taught with: divergences of classes, and feature maps of equal size, worked out by hand."""

from math import log
from pathlib import Path

import pytest
import torch
from distilling import OWN, spec_of

from edgewright.integrations.frameworks.pytorch.build import build
from edgewright.integrations.frameworks.pytorch.passes import losses
from edgewright.integrations.frameworks.pytorch.passes.features import Features, Hinted, channels


def logits(*rows: tuple[float, ...]) -> torch.Tensor:
    """Logits whose softmax is each row, moved by a constant that changes nothing."""
    return torch.tensor(rows).log() + 3


def test_kd_is_the_divergence_of_softened_classes_times_the_squared_temperature() -> None:
    by_hand = 0.75 * log(0.75 / 0.5) + 0.25 * log(0.25 / 0.5)
    student, teacher = logits((0.5, 0.5)), logits((0.75, 0.25))
    assert float(losses.kd(student, teacher, 1)) == pytest.approx(by_hand, abs=1e-6)
    assert float(losses.kd(2 * student, 2 * teacher, 2)) == pytest.approx(4 * by_hand, abs=1e-6)
    both = losses.kd(torch.cat([student, student]), torch.cat([teacher, student]), 1)
    assert float(both) == pytest.approx(by_hand / 2, abs=1e-6)  # the mean over samples


def test_dkd_weighs_target_and_other_classes_apart() -> None:
    student, teacher, targets = logits((0.25, 0.25, 0.5)), logits((0.5, 0.3, 0.2)), torch.tensor([0])
    target = 0.5 * log(0.5 / 0.25) + 0.5 * log(0.5 / 0.75)
    others = 0.6 * log(0.6 / (1 / 3)) + 0.4 * log(0.4 / (2 / 3))
    assert float(losses.dkd(student, teacher, targets, 1)) == pytest.approx(target + 8 * others, abs=1e-6)
    assert float(losses.kd(student, teacher, 1)) == pytest.approx(target + (1 - 0.5) * others, abs=1e-6)  # equation 6
    assert float(losses.dkd(2 * student, 2 * teacher, targets, 2)) == pytest.approx(4 * (target + 8 * others), abs=1e-5)


def test_dkd_stays_finite_where_a_class_is_certain_and_where_there_are_two() -> None:
    student = torch.tensor([[500.0, -500, 0], [-500, 500, 0]], requires_grad=True)
    loss = losses.dkd(student, -student.detach(), torch.tensor([0, 0]), 1)
    loss.backward()
    assert bool(loss.isfinite())
    assert bool(student.grad.isfinite().all())
    two = losses.dkd(logits((0.5, 0.5)), logits((0.75, 0.25)), torch.tensor([0]), 1)
    assert float(two) == pytest.approx(0.75 * log(1.5) + 0.25 * log(0.5), abs=1e-6)


def test_a_hint_is_the_squared_error_as_a_share_of_the_teachers_square() -> None:
    wanted = torch.full((2, 3, 4, 4), 2.0)
    assert float(losses.hint(torch.full_like(wanted, 1.0), wanted)) == pytest.approx(0.25)
    assert float(losses.hint(wanted, wanted)) == 0
    assert float(losses.hint(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))) == 0


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's own, in the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("own_students.py").write_text(OWN)
    return "own_students"


def test_of_each_spatial_size_the_last_map_is_a_feature(own: str) -> None:
    resnet = build(spec_of("resnet8"), (1, 8, 8), 10).eval()
    assert channels(resnet, (1, 8, 8)) == {(8, 8): 16, (4, 4): 32, (2, 2): 64}
    inputs = torch.randn(2, 1, 8, 8)
    with Features(resnet) as features, torch.no_grad():
        resnet(inputs)
    assert torch.equal(features.maps[8, 8], resnet[:3](inputs))
    assert torch.equal(features.maps[2, 2], resnet[:5](inputs))
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in resnet.modules())

    assert channels(build(spec_of("cnn1d"), (3, 32), 4), (3, 32)) == {(1, 16): 16, (1, 8): 32, (1, 4): 64}
    assert channels(build(spec_of(f"{own}:over_time"), (3, 32), 4), (3, 32)) == {(1, 16): 4}
    assert channels(build(spec_of("mlp"), (1, 8, 8), 10), (1, 8, 8)) == {}


def test_a_student_over_time_is_hinted_by_a_teacher_in_two_dimensions(own: str) -> None:
    student, teacher = build(spec_of(f"{own}:over_time"), (3, 32), 4), build(spec_of("cnn1d"), (3, 32), 4).eval()
    hinted = Hinted(student, teacher, (3, 32))
    with Features(student) as features:
        answer = hinted(torch.randn(5, 3, 32))
    assert answer.shape == (5, 4)
    assert [projected.shape for projected in hinted.project(features.maps)] == [(5, 16, 1, 16)]
