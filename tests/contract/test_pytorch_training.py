# SPDX-License-Identifier: Apache-2.0
"""Training: it learns, repeats itself, survives being killed, and says what is wrong when it cannot go on."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.datasets import load_digits

from edgewright.artifact import Candidate, CandidateFacts
from edgewright.config import SPLITS, ModelSpec, Preprocessing, Schedule, Task
from edgewright.data.dataset import Array, DataCard, Dataset
from edgewright.errors import ModelError
from edgewright.integrations.frameworks.pytorch import PyTorch
from edgewright.metrics import metric
from edgewright.training import rate_factor

METRICS = """
import os, pathlib

def constant(labels, outputs): return 0.5

def rising(labels, outputs):
    rising.value += 1
    return rising.value
rising.value = 0
rising.higher_is_better = False

def deadly(labels, outputs):
    with open("epochs.txt", "a") as file:
        file.write("x")
    if pathlib.Path("epochs.txt").read_text() == "x" * int(os.environ.get("DIE_AT", 0)):
        os._exit(9)
    return float((outputs.argmax(axis=1) == labels).mean())
"""
KILLED_CHILD = """
import sys
from pathlib import Path
from edgewright.config import ModelSpec
from edgewright.data.dataset import Dataset
from edgewright.integrations.frameworks.pytorch import PyTorch
data, spec, out = sys.argv[1:]
Path(out).mkdir()
spec, data = ModelSpec.model_validate_json(spec), Dataset.open(Path(data))
PyTorch().train(spec, data, 3, "own_metrics:deadly", Path(out), Path("checkpoints"))
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small models are no faster on more, and the same number in child and parent keeps their sums equal to the bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def own_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's own, in the working folder, imported anew."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_metrics", raising=False)
    Path("own_metrics.py").write_text(METRICS)
    return "own_metrics"


def seal(path: Path, task: Task, layout: Any, x: Array, y: Array, labels: tuple[str, ...] = ()) -> Dataset:
    """Write a dataset of shuffled samples: half train, a tenth calibration, a fifth validation and test."""
    path.mkdir()
    order, counts = np.random.default_rng(0).permutation(len(x)), {}
    cuts = (np.array([0.5, 0.6, 0.8]) * len(x)).astype(int)
    for split, rows in zip(SPLITS, np.split(order, cuts), strict=True):
        if task == "anomaly" and split in ("train", "calibration"):
            rows = rows[y[rows] == 0]
        np.save(path / f"{split}_x.npy", x[rows])
        np.save(path / f"{split}_y.npy", y[rows])
        np.save(path / f"{split}_origin.npy", np.array([f"row {row}" for row in rows]))
        counts[split] = len(rows)
    card = DataCard(
        source="made here",
        task=task,
        labels=labels,
        sample_shape=x.shape[1:],
        sample_dtype=str(x.dtype),
        preprocessing=Preprocessing(scale=1 / 16 if x.dtype == np.uint8 else 1, layout=layout),
        counts=counts,
        source_digest="made here",
    )
    return Dataset.seal(path, card)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """600 of scikit-learn's digits."""
    x, y = load_digits(return_X_y=True)
    images = x[:600].reshape(-1, 8, 8).astype(np.uint8)
    return seal(tmp_path_factory.mktemp("digits") / "d", "classification", "HW", images, y[:600], tuple("0123456789"))


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three-axis sensor windows of 32 moments, in which one of three frequencies sounds."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 300)
    phase = rng.uniform(0, 6, (300, 3, 1))
    x = np.sin((y[:, None, None] + 1) * np.arange(32) / 3 + phase) + rng.normal(0, 0.2, (300, 3, 32))
    return seal(tmp_path_factory.mktemp("windows") / "d", "classification", "CL", x.astype(np.float32), y, ("a", "b", "c"))


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two values that follow from six features."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 6)).astype(np.float32)
    y = np.stack([x[:, 0] + x[:, 1] ** 2, x[:, 2] - x[:, 3]], axis=1)
    return seal(tmp_path_factory.mktemp("regression") / "d", "regression", "F", x, y)


@pytest.fixture(scope="module")
def anomalies(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Ten features that move together, but for one sample in five."""
    rng = np.random.default_rng(3)
    y = (rng.uniform(size=500) < 0.2).astype(np.int64)
    together = rng.normal(size=(500, 2)) @ rng.normal(size=(2, 10))
    apart = rng.normal(0, together.std(), size=(500, 10))
    x = np.where(y[:, None] == 1, apart, together).astype(np.float32)
    return seal(tmp_path_factory.mktemp("anomalies") / "d", "anomaly", "F", x, y)


def spec_of(architecture: str = "mlp", options: dict[str, Any] | None = None, **training: Any) -> ModelSpec:
    short: dict[str, Any] = {"epochs": 3, "batch_size": 16}
    return ModelSpec.model_validate({"architecture": architecture, "options": options or {}, "training": short | training})


def train(spec: ModelSpec, data: Dataset, out: Path, seed: int = 0, by: str = "top1") -> CandidateFacts:
    out.mkdir()
    return PyTorch().train(spec, data, seed, by, out, out.parent / f"{out.name}-checkpoints")


def weights(out: Path) -> bytes:
    return (out / "weights.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("architecture", "options"), [("resnet8", {"width": 8}), ("ds_cnn", {"width": 16, "blocks": 2}), ("mlp", {"dropout": 0.1})]
)
def test_an_image_model_learns(architecture: str, options: dict[str, Any], digits: Dataset, tmp_path: Path) -> None:
    facts = train(spec_of(architecture, options, epochs=6, learning_rate=0.01), digits, tmp_path / "out")
    model = PyTorch().load(Candidate.seal(tmp_path / "out", facts))
    score = metric("top1").score(digits.labels("test"), PyTorch().predict(model, digits.inputs("test", "NCHW")))
    assert score > 0.7  # chance is 0.1
    assert (facts.input_shape, facts.outputs, facts.framework) == ((1, 8, 8), 10, "pytorch")
    assert facts.parameters == sum(weight.numel() for weight in model.parameters())
    assert [epoch.epoch for epoch in facts.history] == [1, 2, 3, 4, 5, 6]
    assert facts.history[-1].train_loss < facts.history[0].train_loss


def test_a_model_of_sensor_windows_learns(windows: Dataset, tmp_path: Path) -> None:
    facts = train(spec_of("cnn1d", {"width": 8}, epochs=5, learning_rate=0.01), windows, tmp_path / "out")
    assert max(epoch.validation_score for epoch in facts.history) > 0.8  # chance is 0.33
    assert facts.input_shape == (3, 32)


def test_regression_beats_the_mean(regression: Dataset, tmp_path: Path) -> None:
    facts = train(spec_of(epochs=25, learning_rate=0.01), regression, tmp_path / "out", by="mae")
    model = PyTorch().load(Candidate.seal(tmp_path / "out", facts))
    outputs, labels = PyTorch().predict(model, regression.inputs("test", "NF")), regression.labels("test")
    assert outputs.shape == labels.shape
    assert metric("mae").score(labels, outputs) < 0.5 * np.abs(labels - labels.mean(axis=0)).mean()
    assert facts.best_epoch == min(facts.history, key=lambda epoch: epoch.validation_score).epoch


def test_an_autoencoder_finds_anomalies(anomalies: Dataset, tmp_path: Path) -> None:
    spec = spec_of("mlp", {"hidden": [16], "bottleneck": 2}, epochs=20, learning_rate=0.01)
    facts = train(spec, anomalies, tmp_path / "out", by="auc")
    model = PyTorch().load(Candidate.seal(tmp_path / "out", facts))
    inputs = anomalies.inputs("test", "NF")
    scores = PyTorch().predict(model, inputs)
    assert scores.shape == (len(inputs),)
    assert metric("auc").score(anomalies.labels("test"), scores) > 0.9
    with torch.no_grad():
        again = model(torch.from_numpy(inputs)).numpy()
    np.testing.assert_allclose(scores, ((again - inputs) ** 2).mean(axis=1), rtol=1e-4)


def test_a_model_that_scores_is_not_trained(anomalies: Dataset, tmp_path: Path) -> None:
    rows = np.load(anomalies.path / "train_x.npy").reshape(-1, 2, 5)
    images = seal(tmp_path / "images", "anomaly", "HW", rows, np.zeros(len(rows), np.int64))
    with pytest.raises(ModelError, match="cannot be trained here") as refused:
        train(spec_of("resnet8"), images, tmp_path / "out", by="auc")
    assert "training: null" in refused.value.to_do


@pytest.mark.parametrize("deterministic", [False, True])
def test_the_same_seed_gives_the_same_weights(deterministic: bool, digits: Dataset, tmp_path: Path) -> None:
    spec = spec_of("resnet8", {"width": 4, "dropout": 0.2}, epochs=2, deterministic=deterministic)
    facts = [train(spec, digits, tmp_path / str(run), seed) for run, seed in enumerate((0, 0, 1))]
    assert weights(tmp_path / "0") == weights(tmp_path / "1")
    assert facts[0] == facts[1]
    assert weights(tmp_path / "0") != weights(tmp_path / "2")


def test_training_leaves_the_process_as_it_was(digits: Dataset, tmp_path: Path) -> None:
    torch.manual_seed(5), np.random.seed(5), random.seed(5)  # noqa: NPY002
    expected = torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002
    torch.manual_seed(5), np.random.seed(5), random.seed(5)  # noqa: NPY002
    train(spec_of(options={"dropout": 0.5}, epochs=1, deterministic=True), digits, tmp_path / "out")
    assert (torch.rand(1).item(), np.random.rand(), random.random()) == expected  # noqa: NPY002
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == 1


@pytest.fixture(scope="module")
def killed(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelSpec]:
    """The folder and spec of a training that was killed in its fourth epoch."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "own_metrics.py").write_text(METRICS)
    spec = spec_of("resnet8", {"width": 4, "dropout": 0.3}, epochs=6, schedule={"warmup_epochs": 2})
    command = [sys.executable, "-c", KILLED_CHILD, str(digits.path), spec.model_dump_json(), "out"]
    child = subprocess.run(command, cwd=folder, env=os.environ | {"DIE_AT": "4", "OMP_NUM_THREADS": "1"}, capture_output=True)
    assert child.returncode == 9, child.stderr.decode()
    return folder, spec


@pytest.mark.parametrize(("damage", "epochs_left"), [(False, 3), (True, 4)], ids=["whole", "newest cut short"])
def test_a_killed_training_ends_with_the_weights_it_would_have_had(
    damage: bool,
    epochs_left: int,
    killed: tuple[Path, ModelSpec],
    digits: Dataset,
    tmp_path: Path,
    own_metrics: str,
) -> None:
    folder, spec = killed
    shutil.copytree(folder / "checkpoints", tmp_path / "resumed-checkpoints")
    newest = max((tmp_path / "resumed-checkpoints").glob("*.pt"))
    if damage:
        newest.write_bytes(newest.read_bytes()[:1000])
    resumed = train(spec, digits, tmp_path / "resumed", 3, f"{own_metrics}:deadly")
    assert Path("epochs.txt").read_text() == "x" * epochs_left
    in_one_go = train(spec, digits, tmp_path / "in_one_go", 3, f"{own_metrics}:deadly")
    assert resumed == in_one_go
    assert weights(tmp_path / "resumed") == weights(tmp_path / "in_one_go")


def test_checkpoints_of_another_training_are_left_alone(digits: Dataset, tmp_path: Path) -> None:
    spec, shared = spec_of(epochs=2), tmp_path / "shared"
    for run in ("longer", "seed", "clean"):
        (tmp_path / run).mkdir()
    PyTorch().train(spec_of(epochs=4), digits, 0, "top1", tmp_path / "longer", shared)
    PyTorch().train(spec, digits, 1, "top1", tmp_path / "seed", shared)
    PyTorch().train(spec, digits, 1, "top1", tmp_path / "clean", tmp_path / "empty")
    assert weights(tmp_path / "seed") == weights(tmp_path / "clean")
    assert all(torch.load(file, weights_only=True)["history"] for file in shared.iterdir())


def test_early_stopping_waits_for_a_better_epoch(digits: Dataset, tmp_path: Path, own_metrics: str) -> None:
    facts = train(spec_of(epochs=30, early_stopping=2), digits, tmp_path / "out", by=f"{own_metrics}:constant")
    assert len(facts.history) == 3
    assert facts.best_epoch == 1


def test_the_best_epochs_weights_are_kept(digits: Dataset, tmp_path: Path, own_metrics: str) -> None:
    steady: dict[str, Any] = {"schedule": {"kind": "constant"}}
    facts = train(spec_of(epochs=3, **steady), digits, tmp_path / "three", by=f"{own_metrics}:rising")
    train(spec_of(epochs=1, **steady), digits, tmp_path / "one", by=f"{own_metrics}:rising")
    assert facts.best_epoch == 1  # the metric rises, and lower is better
    assert weights(tmp_path / "three") == weights(tmp_path / "one")


@pytest.mark.parametrize(
    ("schedule", "at_half_epochs"),
    [
        ({"kind": "constant"}, [1, 1, 1, 1, 1, 1, 1, 1]),
        ({"kind": "cosine"}, [1, 0.96194, 0.853553, 0.691342, 0.5, 0.308658, 0.146447, 0.03806]),
        ({"kind": "cosine", "warmup_epochs": 2}, [0, 0.25, 0.5, 0.75, 1, 0.853553, 0.5, 0.146447]),
        ({"kind": "step", "step_epochs": 2, "gamma": 0.5}, [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5]),
        ({"kind": "step", "step_epochs": 1, "warmup_epochs": 1}, [0, 0.5, 1, 1, 0.1, 0.1, 0.01, 0.01]),
    ],
    ids=["constant", "cosine", "cosine after warm-up", "step", "step after warm-up"],
)
def test_the_learning_rate_follows_the_schedule(schedule: dict[str, Any], at_half_epochs: list[float]) -> None:
    factors = [rate_factor(Schedule.model_validate(schedule), 4, at / 2) for at in range(8)]
    assert factors == pytest.approx(at_half_epochs, abs=1e-6)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("kind", ["constant", "cosine", "step"])
def test_optimizers_and_schedules_learn(optimizer: str, kind: str, digits: Dataset, tmp_path: Path) -> None:
    schedule = {"kind": kind, "warmup_epochs": 1, "step_epochs": 2}
    rate = {"adamw": 0.01, "sgd": 0.1}[optimizer]
    facts = train(spec_of(epochs=4, optimizer=optimizer, learning_rate=rate, schedule=schedule), digits, tmp_path / "out")
    assert max(epoch.validation_score for epoch in facts.history) > 0.5  # chance is 0.1
    steps = 19  # 300 samples in batches of 16
    at_last_steps = [rate * rate_factor(Schedule.model_validate(schedule), 4, epoch - 0.5 / steps) for epoch in (1, 2, 3, 4)]
    assert [epoch.learning_rate for epoch in facts.history] == pytest.approx(at_last_steps)


def test_l1_and_l2_shrink_the_weights(digits: Dataset, tmp_path: Path) -> None:
    def absolute(name: str, **penalty: float) -> float:
        train(spec_of(epochs=4, learning_rate=0.01, **penalty), digits, tmp_path / name)
        return float(sum(tensor.abs().sum() for key, tensor in load_file(tmp_path / name / "weights.safetensors").items()))

    plain = absolute("plain", l2=0)
    assert absolute("l1", l2=0, l1=1e-2) < 0.5 * plain
    assert absolute("l2", l2=5) < 0.9 * plain


def test_label_smoothing_makes_answers_less_certain(digits: Dataset, tmp_path: Path) -> None:
    def certainty(name: str, smoothing: float) -> float:
        facts = train(spec_of(epochs=10, learning_rate=0.01, label_smoothing=smoothing), digits, tmp_path / name)
        model = PyTorch().load(Candidate.seal(tmp_path / name, facts))
        logits = torch.from_numpy(PyTorch().predict(model, digits.inputs("validation", "NCHW")))
        return float(logits.softmax(1).amax(1).mean())

    assert certainty("smooth", 0.3) < certainty("sharp", 0) - 0.1


def test_a_loss_that_is_not_finite_says_when_and_what_to_lower(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="in epoch 1") as refused:
        train(spec_of(optimizer="sgd", learning_rate=1e20), digits, tmp_path / "out")
    assert "model.training.learning_rate" in refused.value.to_do
    assert not (tmp_path / "out" / "weights.safetensors").exists()


def test_a_metric_without_a_value_is_an_error(anomalies: Dataset, tmp_path: Path) -> None:
    rows = np.load(anomalies.path / "train_x.npy")
    only_normal = seal(tmp_path / "normal", "anomaly", "F", rows, np.zeros(len(rows), np.int64))
    with pytest.raises(ModelError, match=r"'auc' has no value on the validation split"):
        train(spec_of(), only_normal, tmp_path / "out", by="auc")


def test_weights_are_taken_as_they_are_or_trained_on(digits: Dataset, tmp_path: Path) -> None:
    train(spec_of(epochs=4, learning_rate=0.01), digits, tmp_path / "first")
    start = str(tmp_path / "first" / "weights.safetensors")
    as_they_are = train(ModelSpec(architecture="mlp", weights=start, training=None), digits, tmp_path / "as_they_are")
    assert weights(tmp_path / "as_they_are") == weights(tmp_path / "first")
    assert (as_they_are.history, as_they_are.best_epoch) == ((), None)
    gentle = {"epochs": 1, "learning_rate": 1e-4}
    start = str(tmp_path / "first")  # a folder with weights.safetensors: a recorded baseline
    trained_on = train(
        ModelSpec.model_validate({"architecture": "mlp", "weights": start, "training": gentle}), digits, tmp_path / "on"
    )
    from_nothing = train(spec_of(**gentle), digits, tmp_path / "from_nothing")
    assert trained_on.history[0].validation_score > from_nothing.history[0].validation_score + 0.3
