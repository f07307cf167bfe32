# SPDX-License-Identifier: Apache-2.0
"""Distillation: students learn from their teachers, survive interruptions, and are refused in words when they do not fit."""

from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_datasets import anomalies, digits, values
from torch import nn

from edgewright.artifact import Candidate, CandidateFacts, PassFacts
from edgewright.config import ModelSpec
from edgewright.config.model_passes import Distill, Prune
from edgewright.data.dataset import Dataset
from edgewright.errors import EdgewrightError, ModelError
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.pytorch import PyTorch
from edgewright.integrations.frameworks.pytorch.build import build
from edgewright.integrations.frameworks.pytorch.fit import Splits
from edgewright.integrations.frameworks.pytorch.passes import losses
from edgewright.integrations.frameworks.pytorch.passes.distill import ask_once
from edgewright.integrations.frameworks.pytorch.passes.features import Features, Hinted, channels
from edgewright.integrations.frameworks.pytorch.passes.teachers import ask, ask_all, teachers_of
from edgewright.integrations.frameworks.pytorch.structure import count_macs
from edgewright.metrics import metric

SMALL: dict[str, Any] = {"student": "ds_cnn", "options": {"width": 16, "blocks": 2}}
OWN = """
import pathlib
from torch import nn

def net(sample, outputs, width=8):
    return nn.Sequential(nn.Conv2d(sample[0], width, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(outputs))

def three(): return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))

def over_time(sample, outputs):
    layers = nn.Conv1d(sample[0], 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, outputs)
    return nn.Sequential(*layers)

def score(): return nn.Linear(10, 1)

def interrupted(labels, outputs):
    with open("epochs.txt", "a") as file:
        file.write("x")
    at = pathlib.Path("interrupt_at")
    if at.exists() and pathlib.Path("epochs.txt").read_text() == at.read_text():
        raise KeyboardInterrupt
    return float((outputs.argmax(axis=1) == labels).mean())
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's own, in the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("own_students.py").write_text(OWN)
    return "own_students"


def spec_of(architecture: str, options: dict[str, Any] | None = None, **training: Any) -> ModelSpec:
    short: dict[str, Any] = {"epochs": 6, "batch_size": 16, "learning_rate": 0.01}
    return ModelSpec.model_validate({"architecture": architecture, "options": options or {}, "training": short | training})


def trained(spec: ModelSpec, data: Dataset, out: Path, by: str = "top1") -> Candidate:
    out.mkdir()
    return Candidate.seal(out, PyTorch().train(spec, data, 0, by, out, out.parent / f"{out.name}-checkpoints"))


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return digits(tmp_path_factory.mktemp("clean") / "data")


@pytest.fixture(scope="module")
def teacher(clean: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    """A baseline that knows the digits."""
    return trained(spec_of("resnet8", {"width": 8}), clean, tmp_path_factory.mktemp("teacher") / "out")


@pytest.fixture(scope="module")
def mislabelled(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The same digits, most of whose labels for training are wrong: what is right is to be had from the teacher only."""
    return digits(tmp_path_factory.mktemp("mislabelled") / "data", wrong=0.8)


def request_for(baseline: Candidate, data: Dataset, out: Path, *, by: str = "top1", **more: Any) -> ModelPassRequest:
    given = {key: more.pop(key, None) for key in ("candidate", "checkpoints")}
    out.mkdir(exist_ok=True)
    return ModelPassRequest(
        candidate=given["candidate"] or baseline,
        teacher=baseline,
        data=data,
        options=Distill.model_validate(more),
        metric=by,
        seed=0,
        out=out,
        checkpoints=given["checkpoints"] or out.parent / f"{out.name}-checkpoints",
    )


def distilled(baseline: Candidate, data: Dataset, out: Path, **more: Any) -> CandidateFacts:
    return PyTorch().passes[Distill](request_for(baseline, data, out, **more))


def outputs_of(candidate: Candidate, data: Dataset, layout: str = "NCHW") -> np.ndarray:
    return PyTorch().predict(PyTorch().load(candidate), data.inputs("validation", layout))


def weights(out: Path) -> bytes:
    return (out / "weights.safetensors").read_bytes()


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


@pytest.mark.parametrize("loss", ["kd", "dkd", "hint"])
def test_a_student_agrees_more_with_its_teacher_than_one_without(
    loss: str, teacher: Candidate, mislabelled: Dataset, tmp_path: Path
) -> None:
    taught = distilled(teacher, mislabelled, tmp_path / "taught", loss=loss, **SMALL).passes[-1]
    alone = distilled(teacher, mislabelled, tmp_path / "alone", alpha=0, **SMALL).passes[-1]
    assert taught.agreement is not None
    assert alone.agreement is not None
    assert taught.agreement > alone.agreement + 0.3
    assert taught.history[-1].train_loss < taught.history[0].train_loss


def test_a_student_is_described_and_loads_again(teacher: Candidate, clean: Dataset, tmp_path: Path) -> None:
    facts = distilled(teacher, clean, tmp_path / "out", epochs=2, learning_rate=0.005, **SMALL)
    assert facts.recipe == "distill.ds_cnn_w16"
    assert (facts.model.architecture, facts.model.options, facts.layers) == ("ds_cnn", SMALL["options"], {})
    assert facts.model.training == teacher.facts.model.training.model_copy(update={"epochs": 2, "learning_rate": 0.005})
    assert facts.history == teacher.facts.history
    done = facts.passes[-1]
    assert len(done.history) == 2
    assert done.parameters == (teacher.facts.parameters, facts.parameters)
    assert done.macs == (teacher.facts.macs, facts.macs)
    assert done.parameters[1] < done.parameters[0]

    student = Candidate.seal(tmp_path / "out", facts)
    again = Candidate.open(student.copy_to(tmp_path / "elsewhere").path)
    np.testing.assert_array_equal(outputs_of(student, clean), outputs_of(again, clean))
    outputs, expected = outputs_of(again, clean), outputs_of(teacher, clean)
    labels = clean.labels("validation")
    assert done.score == tuple(metric("top1").score(labels, one) for one in (expected, outputs))
    assert done.agreement == float((outputs.argmax(1) == expected.argmax(1)).mean())


def test_the_passs_own_training_wins_over_the_baselines(teacher: Candidate, clean: Dataset, tmp_path: Path) -> None:
    training = {"epochs": 1, "batch_size": 32, "optimizer": "sgd", "augmentation": {"shift": 1}}
    facts = distilled(teacher, clean, tmp_path / "out", training=training, **SMALL)
    assert (facts.model.training.optimizer, facts.model.training.augmentation.shift) == ("sgd", 1)
    assert len(facts.passes[-1].history) == 1


def test_the_projection_of_a_hint_is_thrown_away(teacher: Candidate, clean: Dataset, tmp_path: Path) -> None:
    facts = distilled(teacher, clean, tmp_path / "out", epochs=1, loss="hint", **SMALL)
    written = load_file(tmp_path / "out" / "weights.safetensors")
    student = build(facts.model, (1, 8, 8), 10)
    assert {name: tensor.shape for name, tensor in written.items()} == {
        name: tensor.shape for name, tensor in student.state_dict().items()
    }
    assert facts.parameters == sum(parameter.numel() for parameter in student.parameters())


def test_a_hint_brings_the_students_features_near_the_teachers(teacher: Candidate, clean: Dataset, tmp_path: Path) -> None:
    inputs = torch.from_numpy(np.array(clean.inputs("validation", "NCHW")))

    def feature(candidate: Candidate) -> torch.Tensor:
        model = PyTorch().load(candidate)
        with Features(model) as features, torch.no_grad():
            model(inputs)
        return features.maps[4, 4].permute(0, 2, 3, 1).flatten(0, 2)

    def unexplained(loss: str) -> float:
        """Share of the teacher's features that no projection of the student's explains."""
        facts = distilled(teacher, clean, tmp_path / loss, loss=loss, student="resnet8", options={"width": 4})
        found, wanted = feature(Candidate.seal(tmp_path / loss, facts)), feature(teacher)
        return float(losses.hint(found @ torch.linalg.lstsq(found, wanted).solution, wanted))

    shares = unexplained("hint"), unexplained("kd")
    assert shares[0] < 0.9 * shares[1]


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


def test_values_are_matched(tmp_path: Path) -> None:
    data = values(tmp_path / "data")
    teacher = trained(spec_of("mlp", epochs=20), data, tmp_path / "teacher", by="mae")
    student: dict[str, Any] = {"student": "mlp", "options": {"hidden": [32]}, "epochs": 30}
    facts = distilled(teacher, data, tmp_path / "out", by="mae", alpha=1, **student)
    found, wanted = outputs_of(Candidate.seal(tmp_path / "out", facts), data, "NF"), outputs_of(teacher, data, "NF")
    assert ((found - wanted) ** 2).mean() < 0.1 * wanted.var()
    assert facts.passes[-1].agreement is None


@pytest.mark.parametrize("training", [None, {"epochs": 20, "learning_rate": 0.01, "augmentation": {"noise": 0.05}}])
def test_reconstructions_are_matched(training: dict[str, Any] | None, tmp_path: Path) -> None:
    data = anomalies(tmp_path / "data")
    teacher = trained(spec_of("mlp", {"hidden": [16], "bottleneck": 2}, epochs=20), data, tmp_path / "teacher", by="auc")
    student: dict[str, Any] = {"student": "mlp", "options": {"hidden": [8], "bottleneck": 2}, "training": training}
    facts = distilled(teacher, data, tmp_path / "out", by="auc", **student)
    assert facts.passes[-1].score[1] > 0.8  # chance is 0.5
    assert facts.outputs == 0


def test_members_of_an_ensemble_differ_and_their_logits_are_averaged(
    teacher: Candidate, clean: Dataset, tmp_path: Path
) -> None:
    request = request_for(teacher, clean, tmp_path / "out", ensemble=3)
    members = teachers_of(request)
    inputs = torch.from_numpy(np.array(clean.inputs("validation", "NCHW")))
    answers = [member(inputs) for member in members]
    np.testing.assert_allclose(answers[0].numpy(), outputs_of(teacher, clean), atol=1e-5)
    assert all(float((answers[one] - answers[other]).abs().mean()) > 0.1 for one, other in ((0, 1), (0, 2), (1, 2)))
    torch.testing.assert_close(ask(members, inputs), (answers[0] + answers[1] + answers[2]) / 3)
    torch.testing.assert_close(ask_all(members, torch.cat([inputs] * 4)), torch.cat([ask(members, inputs)] * 4))

    (tmp_path / "second").mkdir()
    PyTorch().train(teacher.facts.model, clean, 1, "top1", tmp_path / "second", tmp_path / "none")
    second = load_file(tmp_path / "second" / "weights.safetensors")
    assert all(torch.equal(second[name], tensor) for name, tensor in members[1].state_dict().items())

    kept = {file: file.stat().st_mtime_ns for file in request.checkpoints.iterdir()}
    again = teachers_of(request)
    assert kept == {file: file.stat().st_mtime_ns for file in request.checkpoints.iterdir()}  # nothing was trained again
    torch.testing.assert_close(again[2](inputs), answers[2])


@pytest.mark.parametrize(
    ("interrupted_in", "more"),
    [(3, {"loss": "kd"}), (3, {"loss": "hint"}), (8, {"ensemble": 2}), (3, {"training": {"augmentation": {"shift": 1}}})],
    ids=["kd", "hint", "after the ensemble's second member", "augmented"],
)
def test_an_interrupted_distillation_ends_with_the_weights_it_would_have_had(
    interrupted_in: int, more: dict[str, Any], own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, by = digits(tmp_path / "data", count=300), f"{own}:interrupted"
    teacher = trained(spec_of("resnet8", {"width": 4}, epochs=5), data, tmp_path / "teacher", by=by)
    whole = distilled(teacher, data, tmp_path / "whole", by=by, epochs=4, **SMALL, **more)
    Path("epochs.txt").unlink()
    Path("interrupt_at").write_text("x" * interrupted_in)
    with pytest.raises(KeyboardInterrupt):
        distilled(teacher, data, tmp_path / "out", by=by, epochs=4, **SMALL, **more)
    Path("interrupt_at").unlink()
    resumed = distilled(teacher, data, tmp_path / "out", by=by, epochs=4, **SMALL, **more)
    assert resumed == whole
    assert weights(tmp_path / "out") == weights(tmp_path / "whole")


def test_a_teacher_of_the_users_own_is_read_from_its_file(
    teacher: Candidate, clean: Dataset, mislabelled: Dataset, tmp_path: Path
) -> None:
    ignorant = trained(spec_of("resnet8", {"width": 4}, epochs=1), mislabelled, tmp_path / "ignorant")
    file, checkpoints = tmp_path / "expert.pt", tmp_path / "checkpoints"
    torch.save(PyTorch().load(teacher).state_dict(), file)
    expert = {"architecture": "resnet8", "options": {"width": 8}, "weights": str(file)}
    more: dict[str, Any] = {"epochs": 6, **SMALL}
    from_expert = distilled(ignorant, mislabelled, tmp_path / "a", teacher=expert, checkpoints=checkpoints, **more)
    from_baseline = distilled(ignorant, mislabelled, tmp_path / "b", **more)
    assert from_expert.passes[-1].score[1] > from_baseline.passes[-1].score[1] + 0.15

    torch.save(build(teacher.facts.model, (1, 8, 8), 10).state_dict(), file)
    distilled(ignorant, mislabelled, tmp_path / "c", teacher=expert, checkpoints=checkpoints, **more)
    assert weights(tmp_path / "c") != weights(tmp_path / "a")  # other weights in the file: the checkpoints are not its own


def test_self_learns_on_and_zeros_stay_zero(teacher: Candidate, mislabelled: Dataset, tmp_path: Path) -> None:
    sparse = {
        name: torch.where(tensor.abs() < tensor.abs().median(), 0, tensor) if tensor.dim() > 1 else tensor
        for name, tensor in load_file(teacher.path / "weights.safetensors").items()
    }
    (tmp_path / "sparse").mkdir()
    save_file(sparse, tmp_path / "sparse" / "weights.safetensors")
    done = PassFacts(name="sparsify50", options={}, parameters=(1, 1), macs=(1, 1), zeros=0.5, score=(1, 1))
    candidate = Candidate.seal(tmp_path / "sparse", teacher.facts.model_copy(update={"passes": (done,)}))
    facts = distilled(teacher, mislabelled, tmp_path / "out", candidate=candidate, epochs=2)
    learned = load_file(tmp_path / "out" / "weights.safetensors")
    assert all(bool((learned[name][tensor == 0] == 0).all()) for name, tensor in sparse.items() if tensor.dim() > 1)
    assert any(not torch.equal(learned[name], tensor) for name, tensor in sparse.items())
    assert facts.passes[-1].zeros == pytest.approx(0.5, abs=0.02)
    assert facts.recipe == "sparsify50-distill.self"
    assert facts.model == teacher.facts.model


def test_self_keeps_the_layers_that_pruning_has_left(teacher: Candidate, clean: Dataset, tmp_path: Path) -> None:
    pruned = request_for(teacher, clean, tmp_path / "pruned")
    options = Prune(ratio=0.5, epochs=1)
    given = ModelPassRequest(**{**vars(pruned), "options": options})
    candidate = Candidate.seal(tmp_path / "pruned", PyTorch().passes[Prune](given))
    facts = distilled(teacher, clean, tmp_path / "out", candidate=candidate, epochs=2, loss="hint")
    assert facts.layers == candidate.facts.layers != {}
    assert facts.parameters == candidate.facts.parameters
    student = Candidate.seal(tmp_path / "out", facts)
    assert facts.passes[-1].score[1] == metric("top1").score(clean.labels("validation"), outputs_of(student, clean))


def test_a_distillation_that_diverges_says_so(teacher: Candidate, clean: Dataset, tmp_path: Path) -> None:
    training = {"optimizer": "sgd", "learning_rate": 1e20, "epochs": 1}
    with pytest.raises(ModelError, match="the loss is"):
        distilled(teacher, clean, tmp_path / "out", training=training, **SMALL)
    assert not (tmp_path / "out" / "weights.safetensors").exists()


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


def macs(architecture: str, options: dict[str, Any], sample: tuple[int, ...], outputs: int) -> int:
    return count_macs(build(spec_of(architecture, options), sample, outputs).eval(), sample)


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


def test_answers_that_are_looked_up_are_those_to_the_flipped_image(teacher: Candidate, clean: Dataset, tmp_path: Path) -> None:
    teachers = teachers_of(request_for(teacher, clean, tmp_path / "out"))
    splits = Splits.of(clean, "top1")
    rows, look_up = ask_once(teachers, splits)
    batch = torch.arange(40)
    inputs = torch.cat([splits.learn.inputs[:20].flip(-1), splits.learn.inputs[20:40]])
    targets, answers = look_up(inputs, rows.learn.targets[batch])
    assert torch.equal(targets, splits.learn.targets[batch])
    torch.testing.assert_close(answers, ask(teachers, inputs))
