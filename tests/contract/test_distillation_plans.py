# SPDX-License-Identifier: Apache-2.0
"""Before anything is distilled: what cannot be is refused in words, and which students are worth trying."""

from pathlib import Path
from typing import Any

import pytest
import torch
from distilling import OWN, SMALL, macs, spec_of
from torch import nn

from edgewright.config import ModelSpec
from edgewright.config.model_passes import Distill
from edgewright.errors import EdgewrightError, ModelError
from edgewright.integrations.frameworks.pytorch import PyTorch
from edgewright.integrations.frameworks.pytorch.build import build


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's own, in the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("own_students.py").write_text(OWN)
    return "own_students"


def checked(spec: ModelSpec | None = None, task: Any = "classification", **step: Any) -> None:
    sample, outputs = {"classification": ((1, 8, 8), 10), "regression": ((6,), 2), "anomaly": ((10,), 0)}[task]
    PyTorch().check_pass(Distill.model_validate(step), spec or spec_of("resnet8"), task, sample, outputs)


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({"student": "ds_cn"}, r"'ds_cn'.*where: distill\.ds_cn, student\n.*did you mean 'ds_cnn'"),
        ({"student": "ds_cnn", "options": {"widht": 8}}, r"'widht'.*distill\.ds_cnn, options\.widht.*did you mean 'width'"),
        ({"student": "cnn1d"}, r"sensor windows.*distill\.cnn1d, student.*'ds_cnn'"),
        ({"student": "own_students:three"}, r"\(1, 3\).*\(1, 10\).*distill\.three, student: own_students:three"),
        ({"student": "own_students:threee"}, r"has no 'threee'.*distill\.threee.*did you mean 'three'"),
        ({"options": {"width": 8}}, r"the model itself.*distill\.self_w8, options.*name a student"),
        ({"student": "mlp", "loss": "hint"}, r"none in common.*8 x 8, 4 x 4, 2 x 2; the student's are none.*'loss: kd'"),
        ({"ensemble": 2, "teacher": {"architecture": "mlp", "weights": "w.pt"}}, "remove 'ensemble' or 'teacher'"),
        (
            {"teacher": {"architecture": "mlp", "weights": "absent.pt"}},
            r"no such file.*self, teacher\.weights: absent",
        ),
        ({"teacher": {"architecture": "mlp", "weights": "other.pt"}}, r"do not fit the model.*distill\.self, teacher\.weights"),
        ({"teacher": {"architecture": "mlp", "weights": "pickle.pt"}}, r"any code.*'allow_pickle: true' below teacher"),
        ({"teacher": {"architecture": "own_students:three", "weights": "three.pt"}}, r"\(1, 10\).*self, teacher\.architecture"),
        ({"training": {"augmentation": {"shift": 8}}}, r"out of sight.*distill\.self, training\.augmentation\.shift"),
    ],
)
def test_what_cannot_be_distilled_is_refused_before_training(own: str, step: dict[str, Any], says: str) -> None:
    torch.save(build(spec_of("mlp", {"hidden": [9]}), (1, 8, 8), 10).state_dict(), "other.pt")
    torch.save(build(spec_of("mlp"), (1, 8, 8), 10), "pickle.pt")
    torch.save(build(spec_of(f"{own}:three"), (1, 8, 8), 3).state_dict(), "three.pt")
    with pytest.raises(EdgewrightError, match=f"(?s){says}"):
        checked(**step)


def test_losses_and_ensembles_that_the_task_does_not_know_are_refused(own: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="dkd compares classes, and the task is regression"):
        checked(spec_of("mlp"), "regression", loss="dkd")
    torch.save(nn.Linear(10, 1).state_dict(), "score.pt")
    as_it_is = ModelSpec(architecture=f"{own}:score", weights="score.pt", training=None)
    with pytest.raises(ModelError, match="no reconstruction"):
        checked(as_it_is, "anomaly", student="mlp")
    with pytest.raises(ModelError, match=r"(?s)'training: null'.*model\.training"):
        checked(as_it_is, "anomaly", ensemble=2)


@pytest.mark.parametrize("loss", ["kd", "dkd", "hint"])
def test_what_can_be_distilled_passes_the_check(loss: str) -> None:
    checked(loss=loss)
    checked(loss=loss, **SMALL)
    checked(spec_of("mlp"), "anomaly", student="mlp")


STUDENTS = [("ds_resnet", {"width": 16}), ("ds_resnet", {"width": 8})]


@pytest.mark.parametrize(
    ("architecture", "options", "sample", "outputs", "expected"),
    [
        ("resnet8", {}, (1, 8, 8), 10, [*STUDENTS[:1], ("resnet8", {"width": 8}), *STUDENTS[1:]]),
        ("resnet8", {"width": 48, "dropout": 0.1}, (1, 8, 8), 10, [("resnet8", {"width": 24, "dropout": 0.1}), *STUDENTS]),
        ("cnn1d", {"width": 32}, (3, 32), 4, [("cnn1d", {"width": 16}), ("cnn1d", {"width": 8})]),
        ("mlp", {"hidden": [64, 32]}, (6,), 2, [("mlp", {"hidden": [32, 16]})]),
        ("mlp", {"hidden": [64], "bottleneck": 4}, (10,), 0, [("mlp", {"hidden": [32], "bottleneck": 4})]),
        ("own_students:three", {}, (1, 8, 8), 3, []),
        ("own_students:net", {}, (3, 32, 32), 10, [("own_students:net", {"width": 4})]),
        ("resnet8", {"width": 4}, (1, 8, 8), 10, []),
    ],
)
def test_students_worth_trying_are_smaller_largest_first(
    own: str,
    architecture: str,
    options: dict[str, Any],
    sample: tuple[int, ...],
    outputs: int,
    expected: list[tuple[str, dict[str, Any]]],
) -> None:
    found = PyTorch().students(spec_of(architecture, options), sample, outputs)
    assert list(found) == expected
    sizes = [macs(*student, sample, outputs) for student in found]
    assert sizes == sorted(sizes, reverse=True)
    assert all(2 * size <= macs(architecture, options, sample, outputs) for size in sizes)
    for name, chosen in found:
        PyTorch().check(spec_of(name, chosen), "classification" if outputs else "anomaly", sample, outputs)


def test_a_model_of_ones_own_without_width_gets_shipped_students(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own_wide.py").write_text(
        "from torch import nn\n"
        "def image(sample, outputs):\n"
        "    layers = nn.Conv2d(sample[0], 64, 3), nn.Conv2d(64, 64, 3), nn.Flatten(), nn.LazyLinear(outputs)\n"
        "    return nn.Sequential(*layers)\n"
        "def table(sample, outputs): return nn.Sequential(nn.Linear(sample[0], 400), nn.Linear(400, outputs))\n"
        "def window(sample, outputs):\n"
        "    return nn.Sequential(nn.Conv1d(sample[0], 64, 9), nn.Conv1d(64, 64, 9), nn.Flatten(), nn.LazyLinear(outputs))\n"
    )
    images = PyTorch().students(spec_of("own_wide:image"), (1, 16, 16), 10)
    assert images == (("ds_resnet", {"width": 16}), ("ds_resnet", {"width": 8}))
    assert PyTorch().students(spec_of("own_wide:window"), (3, 64), 4) == (("cnn1d", {"width": 16}), ("cnn1d", {"width": 8}))
    assert PyTorch().students(spec_of("own_wide:table"), (20,), 2) == (("mlp", {"hidden": [32, 32]}),)
    names = {Distill(student=name, options=options).name for name, options in images}
    assert len(names) == 2
