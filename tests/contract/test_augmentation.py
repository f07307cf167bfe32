# SPDX-License-Identifier: Apache-2.0
"""Augmentation: changes training batches and nothing else, in the same way after an interruption."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_datasets import anomalies, digits, values, windows

from edgewright.artifact import Candidate
from edgewright.config import ModelSpec
from edgewright.config.model import Augmentation
from edgewright.errors import ConfigError
from edgewright.integrations.frameworks.pytorch import PyTorch
from edgewright.integrations.frameworks.pytorch.augment import augment, check_augmentation

METRIC = """
import pathlib

def interrupted(labels, outputs):
    with open("epochs.txt", "a") as file:
        file.write("x")
    if pathlib.Path("interrupt_at").exists() and pathlib.Path("epochs.txt").read_text() == "x" * 3:
        raise KeyboardInterrupt
    return float((outputs.argmax(axis=1) == labels).mean())
"""
ECHO = """
import torch

class Echo(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x + self.bias

def echo(): return Echo()
"""


@pytest.fixture(autouse=True)
def one_seed() -> None:
    torch.manual_seed(0)


def spec_of(architecture: str, options: dict[str, Any] | None = None, **training: Any) -> ModelSpec:
    short: dict[str, Any] = {"epochs": 2, "batch_size": 16}
    return ModelSpec.model_validate({"architecture": architecture, "options": options or {}, "training": short | training})


def test_half_of_the_images_are_flipped_left_to_right() -> None:
    images = torch.randn(200, 3, 4, 5)
    augmented = augment(images, Augmentation(flip=True))
    same = (augmented == images).flatten(1).all(1)
    mirrored = (augmented == images.flip(3)).flatten(1).all(1)
    assert bool((same ^ mirrored).all())
    assert 60 < int(same.sum()) < 140


def test_an_image_moves_along_both_axes_and_leaves_zeros_behind() -> None:
    images = torch.zeros(300, 2, 7, 9)
    images[:, :, 3, 4] = 1
    images[:, 1] *= 2
    augmented = augment(images, Augmentation(shift=2))
    found = augmented.nonzero()
    assert len(found) == 600  # one pixel a channel, none lost
    offsets = {(int(row) - 3, int(column) - 4) for _, _, row, column in found}
    assert offsets == {(row, column) for row in range(-2, 3) for column in range(-2, 3)}
    assert torch.equal(augmented[:, 1], 2 * augmented[:, 0])  # all channels move together

    full = augment(torch.ones(50, 1, 6, 6), Augmentation(shift=2))
    assert set(full.flatten().tolist()) == {0.0, 1.0}


def test_a_series_moves_in_time_only() -> None:
    series = torch.arange(1.0, 11).repeat(100, 3, 1) + torch.tensor([0.0, 100, 200])[:, None]
    augmented = augment(series, Augmentation(shift=3))
    assert augmented.shape == series.shape
    for moved in augmented:
        start = int(moved[0].nonzero()[0]), int(moved[0][moved[0] > 0][0])
        shift = start[0] - (start[1] - 1)
        expected = torch.zeros(3, 10)
        kept = slice(max(0, shift), 10 + min(0, shift))
        expected[:, kept] = series[0][:, max(0, -shift) : 10 - max(0, shift)]
        assert torch.equal(moved, expected)


def test_noise_has_the_standard_deviation_asked_for_and_works_on_tables() -> None:
    features = torch.full((500, 40), 3.0)
    noise = augment(features, Augmentation(noise=0.5)) - features
    assert float(noise.std()) == pytest.approx(0.5, rel=0.03)
    assert float(noise.mean()) == pytest.approx(0, abs=0.02)


def test_without_augmentation_nothing_is_drawn() -> None:
    before = torch.get_rng_state()
    inputs = torch.randn(4, 3)
    torch.set_rng_state(before)
    assert augment(inputs, Augmentation()) is inputs
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("asked", "sample", "says"),
    [
        ({"flip": True}, (6,), r"only images can be flipped.*\(6,\)"),
        ({"flip": True}, (3, 32), "only images can be flipped"),
        ({"shift": 1}, (6,), "'noise' works on tables"),
        ({"shift": 8}, (1, 8, 12), "write less than 8"),
        ({"shift": 40}, (3, 32), "write less than 32"),
    ],
)
def test_what_does_not_suit_the_samples_is_refused(asked: dict[str, Any], sample: tuple[int, ...], says: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){says}"):
        check_augmentation(Augmentation.model_validate(asked), sample)


def test_check_and_training_both_refuse_to_flip_a_table(tmp_path: Path) -> None:
    spec = spec_of("mlp", augmentation={"flip": True})
    with pytest.raises(ConfigError, match=r"model\.training\.augmentation\.flip"):
        PyTorch().check(spec, "regression", (6,), 2)
    with pytest.raises(ConfigError, match=r"model\.training\.augmentation\.flip"):
        PyTorch().train(spec, values(tmp_path / "data"), 0, "mae", tmp_path, tmp_path / "checkpoints")


@pytest.mark.parametrize(
    ("wrong", "says"), [({"filp": True}, "filp"), ({"shift": -1}, "shift"), ({"shift": 0.5}, "shift"), ({"noise": -1}, "noise")]
)
def test_the_configuration_is_strict(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Augmentation.model_validate(wrong)


def test_epochs_are_judged_on_samples_as_they_are(tmp_path: Path) -> None:
    data = windows(tmp_path / "data")
    spec = spec_of("cnn1d", {"width": 4}, augmentation={"noise": 20.0})
    facts = PyTorch().train(spec, data, 0, "top1", tmp_path, tmp_path / "checkpoints")
    model = PyTorch().load(Candidate.seal(tmp_path, facts))
    outputs = torch.from_numpy(PyTorch().predict(model, data.inputs("validation", "NCL")))
    loss = torch.nn.functional.cross_entropy(outputs, torch.from_numpy(np.array(data.labels("validation"))))
    best = next(epoch for epoch in facts.history if epoch.epoch == facts.best_epoch)
    assert best.validation_loss == pytest.approx(float(loss), rel=1e-5)


def test_what_is_reconstructed_is_the_augmented_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own_echo.py").write_text(ECHO)
    spec = spec_of("own_echo:echo", augmentation={"noise": 5.0})
    facts = PyTorch().train(spec, anomalies(tmp_path / "data"), 0, "auc", tmp_path, tmp_path / "checkpoints")
    assert [epoch.train_loss for epoch in facts.history] == [0, 0]


def test_an_interrupted_training_ends_with_the_weights_it_would_have_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own_interruption.py").write_text(METRIC)
    data = digits(tmp_path / "data", count=300)
    spec = spec_of("resnet8", {"width": 4}, epochs=5, augmentation={"flip": True, "shift": 1, "noise": 0.1})

    def train(name: str, checkpoints: str) -> bytes:
        Path(name).mkdir(exist_ok=True)
        PyTorch().train(spec, data, 3, "own_interruption:interrupted", Path(name), Path(checkpoints))
        return (Path(name) / "weights.safetensors").read_bytes()

    Path("interrupt_at").touch()
    with pytest.raises(KeyboardInterrupt):
        train("resumed", "checkpoints")
    Path("interrupt_at").unlink()
    Path("epochs.txt").unlink()
    resumed = train("resumed", "checkpoints")
    assert Path("epochs.txt").read_text() == "x" * 3  # two of five epochs were kept
    assert resumed == train("in_one_go", "none")
