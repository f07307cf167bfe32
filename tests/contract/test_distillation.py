# SPDX-License-Identifier: Apache-2.0
"""Distillation: students learn from their teachers, survive interruptions, travel and load again."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from distilling import OWN, SMALL, distilled, outputs_of, request_for, spec_of, trained
from safetensors.torch import load_file, save_file
from small_datasets import anomalies, digits, values

from edgewright.artifact import Candidate, PassFacts
from edgewright.config.model_passes import Prune
from edgewright.data.dataset import Dataset
from edgewright.errors import ModelError
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.pytorch import PyTorch
from edgewright.integrations.frameworks.pytorch.build import build
from edgewright.integrations.frameworks.pytorch.fit import Splits
from edgewright.integrations.frameworks.pytorch.passes import losses
from edgewright.integrations.frameworks.pytorch.passes.distill import ask_once
from edgewright.integrations.frameworks.pytorch.passes.features import Features
from edgewright.integrations.frameworks.pytorch.passes.teachers import ask, ask_all, teachers_of
from edgewright.metrics import metric


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's own, in the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("own_students.py").write_text(OWN)
    return "own_students"


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


def weights(out: Path) -> bytes:
    return (out / "weights.safetensors").read_bytes()


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


def test_answers_that_are_looked_up_are_those_to_the_flipped_image(teacher: Candidate, clean: Dataset, tmp_path: Path) -> None:
    teachers = teachers_of(request_for(teacher, clean, tmp_path / "out"))
    splits = Splits.of(clean, "top1")
    rows, look_up = ask_once(teachers, splits)
    batch = torch.arange(40)
    inputs = torch.cat([splits.learn.inputs[:20].flip(-1), splits.learn.inputs[20:40]])
    targets, answers = look_up(inputs, rows.learn.targets[batch])
    assert torch.equal(targets, splits.learn.targets[batch])
    torch.testing.assert_close(answers, ask(teachers, inputs))
