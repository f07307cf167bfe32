# SPDX-License-Identifier: Apache-2.0
"""Models: every shipped one fits its data, a user's own is called with what it takes, weights are read with care."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edgewright.artifact import Candidate, CandidateFacts
from edgewright.config import ModelSpec
from edgewright.errors import ConfigError, ModelError
from edgewright.integrations.frameworks.pytorch import PyTorch
from edgewright.integrations.frameworks.pytorch.build import build
from edgewright.integrations.frameworks.pytorch.models import ARCHITECTURES
from edgewright.integrations.frameworks.pytorch.weights import read_weights, write_weights

OWN = """
import torch
from torch import nn

def all_of_it(sample, outputs, **options):
    return nn.Linear(sample[0], outputs * options["times"])

def outputs_only(outputs): return nn.Sequential(nn.Flatten(), nn.Linear(4, outputs))
def nothing(): return nn.Linear(4, 3)
def named(*, width): return nn.Sequential(nn.Linear(4, width), nn.Linear(width, 3))
def no_model(): return "model"
def failing(width=3): raise ZeroDivisionError("ouch")
def takes_more(): return nn.Linear(5, 3)
def pair():
    class Pair(nn.Module):
        def forward(self, x): return x, x
    return Pair()
def score(): return nn.Linear(4, 1)
def whole(): return nn.Linear(4, 4)
def keyed(wide=2): return nn.Sequential(nn.Linear(4, wide), nn.Linear(wide, 3))
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's own, in the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("own_architectures.py").write_text(OWN)
    return "own_architectures"


def spec(architecture: str, **more: Any) -> ModelSpec:
    return ModelSpec(architecture=architecture, **more)


def test_the_list_of_architectures_is_what_is_shipped() -> None:
    assert set(PyTorch.architectures) == set(ARCHITECTURES)


@pytest.mark.parametrize(
    ("architecture", "samples"),
    [
        ("resnet8", [(1, 8, 8), (3, 32, 32), (3, 96, 64), (1, 2, 2), (3, 5, 7)]),
        ("resnet20", [(1, 28, 28), (3, 32, 32), (3, 5, 7), (1, 2, 2)]),
        ("ds_cnn", [(1, 8, 8), (1, 49, 10), (3, 32, 32), (1, 2, 2)]),
        ("ds_resnet", [(1, 8, 8), (1, 49, 10), (3, 32, 32), (1, 2, 2)]),
        ("cnn1d", [(3, 128), (6, 5), (1, 2)]),
        ("mlp", [(12,), (1, 8, 8), (3, 20)]),
    ],
)
def test_a_shipped_model_takes_samples_of_many_sizes(architecture: str, samples: list[tuple[int, ...]]) -> None:
    for sample in samples:
        PyTorch().check(spec(architecture, options={"dropout": 0.1}), "classification", sample, 7)


@pytest.mark.parametrize(
    ("architecture", "sample"),
    [("resnet8", (1, 8, 8)), ("resnet20", (1, 8, 8)), ("ds_cnn", (1, 8, 8)), ("ds_resnet", (1, 8, 8)), ("cnn1d", (3, 16))],
)
def test_feature_maps_never_fall_below_two(architecture: str, sample: tuple[int, ...]) -> None:
    sizes = []
    model = build(spec(architecture), sample, 3).eval()
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda _layer, _inputs, output: sizes.append(output.shape[-1]))
    model(torch.zeros(1, *sample))
    assert min(sizes) == 2


def test_the_default_model_stays_small() -> None:
    parameters = sum(weight.numel() for weight in build(spec("resnet8"), (3, 32, 32), 10).parameters())
    assert parameters < 80_000


def test_resnet20_has_the_layers_of_its_paper() -> None:
    model = build(spec("resnet20"), (1, 28, 28), 10)
    weighted = [layer for name, layer in model.named_modules() if "shortcut" not in name]
    assert sum(isinstance(layer, torch.nn.Conv2d | torch.nn.Linear) for layer in weighted) == 20
    assert sum(weight.numel() for weight in model.parameters()) == 272_186
    sizes = [model[: 2 + blocks](torch.zeros(2, 1, 28, 28)).shape[1:] for blocks in (3, 6, 9)]
    assert sizes == [(16, 28, 28), (32, 14, 14), (64, 7, 7)]


@pytest.mark.parametrize(
    ("architecture", "sample", "instead"),
    [("resnet8", (20,), "'mlp'"), ("cnn1d", (1, 8, 8), "'resnet8'"), ("ds_cnn", (3, 9), "'cnn1d'")],
)
def test_a_sample_of_the_wrong_rank_names_the_model_to_use(architecture: str, sample: tuple[int, ...], instead: str) -> None:
    with pytest.raises(ModelError) as refused:
        PyTorch().check(spec(architecture), "classification", sample, 3)
    assert str(sample) in refused.value.what
    assert instead in refused.value.to_do


def test_unknown_architecture_and_option_name_the_nearest() -> None:
    with pytest.raises(ModelError, match="did you mean 'resnet8'"):
        PyTorch().check(spec("resnet"), "classification", (1, 8, 8), 3)
    with pytest.raises(ModelError, match=r"(?s)model\.options\.widht.*did you mean 'width'"):
        PyTorch().check(spec("resnet8", options={"widht": 8}), "classification", (1, 8, 8), 3)
    with pytest.raises(ModelError, match="takes no option 'outputs'"):
        PyTorch().check(spec("resnet8", options={"outputs": 8}), "classification", (1, 8, 8), 3)
    with pytest.raises(ModelError, match="does not build"):
        PyTorch().check(spec("resnet8", options={"width": "wide"}), "classification", (1, 8, 8), 3)
    with pytest.raises(ModelError, match="anomaly detection only"):
        PyTorch().check(spec("mlp", options={"bottleneck": 2}), "classification", (4,), 3)


@pytest.mark.parametrize(
    ("function", "options"), [("all_of_it", {"times": 1}), ("outputs_only", {}), ("nothing", {}), ("named", {"width": 5})]
)
def test_a_function_of_ones_own_is_given_what_it_takes(own: str, function: str, options: dict[str, Any]) -> None:
    PyTorch().check(spec(f"{own}:{function}", options=options), "classification", (4,), 3)


@pytest.mark.parametrize(
    ("function", "options", "says"),
    [
        ("nothing", {"width": 3}, "takes no option 'width'"),
        ("named", {}, r"model\.options\.width"),
        ("no_model", {}, "returned str"),
        ("failing", {}, "ZeroDivisionError: ouch"),
        ("takes_more", {}, r"does not take a sample of shape \(4,\)"),
        ("pair", {}, "not one tensor"),
        ("all_of_it", {"times": 2}, "the data needs"),
    ],
)
def test_a_function_that_does_not_fit_is_told_why(own: str, function: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        PyTorch().check(spec(f"{own}:{function}", options=options), "classification", (4,), 3)


def test_a_missing_function_is_an_error_of_the_configuration(own: str) -> None:
    with pytest.raises(ConfigError, match="nothing"):
        PyTorch().check(spec(f"{own}:nothink"), "classification", (4,), 3)


def test_an_output_of_the_wrong_length_names_both_shapes(own: str) -> None:
    with pytest.raises(ModelError) as refused:
        PyTorch().check(spec(f"{own}:nothing"), "classification", (4,), 5)
    assert "(1, 3)" in refused.value.what
    assert "(1, 5)" in refused.value.what
    assert "nothing" in refused.value.where


def test_anomaly_detection_takes_a_reconstruction_or_a_pretrained_score(own: str, tmp_path: Path) -> None:
    PyTorch().check(spec("mlp"), "anomaly", (3, 20), 0)
    PyTorch().check(spec(f"{own}:whole"), "anomaly", (4,), 0)
    with pytest.raises(ModelError, match=r"\(1, 3\).*score"):
        PyTorch().check(spec(f"{own}:nothing"), "anomaly", (4,), 0)
    with pytest.raises(ModelError, match="cannot be trained here"):
        PyTorch().check(spec(f"{own}:score"), "anomaly", (4,), 0)
    torch.save(torch.nn.Linear(4, 1).state_dict(), tmp_path / "score.pt")
    PyTorch().check(spec(f"{own}:score", weights=str(tmp_path / "score.pt"), training=None), "anomaly", (4,), 0)


@pytest.mark.parametrize(
    ("suffix", "write"),
    [(".pt", torch.save), (".safetensors", lambda weights, file: save_file(weights, file))],
    ids=["torch", "safetensors"],
)
def test_weights_are_read_from_both_kinds_of_file(tmp_path: Path, suffix: str, write: Callable[..., None]) -> None:
    weights = build(spec("mlp"), (4,), 3).state_dict()
    write(weights, tmp_path / f"w{suffix}")
    found = read_weights(tmp_path / f"w{suffix}")
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_pickle_does_not_run_without_consent(tmp_path: Path, zipped: bool) -> None:
    torch.save({"weight": Bomb(tmp_path / "owned")}, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match="allow_pickle: true") as refused:
        PyTorch().check(spec("mlp", weights=str(tmp_path / "w.pt")), "classification", (4,), 3)
    assert "any code" in refused.value.what
    assert not (tmp_path / "owned").exists()


def test_a_pickled_model_is_read_with_consent(tmp_path: Path) -> None:
    model = build(spec("mlp"), (4,), 3)
    torch.save(model, tmp_path / "w.pt")
    with pytest.raises(ModelError, match="allow_pickle"):
        read_weights(tmp_path / "w.pt")
    found = read_weights(tmp_path / "w.pt", allow_pickle=True)
    assert all(torch.equal(found[name], weight) for name, weight in model.state_dict().items())


def test_weights_that_are_no_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        read_weights(tmp_path / "absent.pt")
    torch.save({"epoch": 3, "model": {}}, tmp_path / "checkpoint.pt")
    with pytest.raises(ModelError, match="the keys 'epoch', 'model'"):
        read_weights(tmp_path / "checkpoint.pt")
    write_weights({"a": torch.ones(300)}, tmp_path)
    whole = (tmp_path / "weights.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:200])
    with pytest.raises(ModelError, match="cannot be read"):
        read_weights(tmp_path / "cut.safetensors")
    torch.save({"a": torch.ones(300)}, tmp_path / "whole.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:400])
    for consent in (False, True):
        with pytest.raises(ModelError, match="cannot be read"):
            read_weights(tmp_path / "cut.pt", allow_pickle=consent)


def test_weights_of_another_model_are_listed_at_most_five(tmp_path: Path, own: str) -> None:
    torch.save(build(spec("mlp", options={"hidden": [9, 9]}), (4,), 3).state_dict(), tmp_path / "w.pt")
    with pytest.raises(ModelError) as refused:
        PyTorch().check(spec("mlp", weights=str(tmp_path / "w.pt")), "classification", (4,), 3)
    assert "'1.weight' has shape (9, 4) in the file and (64, 4) in the model" in refused.value.what
    assert refused.value.what.count("has shape") == 5

    torch.save({"0.weigth": torch.ones(2, 4)}, tmp_path / "typo.pt")
    with pytest.raises(ModelError, match=r"did you mean '0\.weigth'"):
        PyTorch().check(spec(f"{own}:keyed", weights=str(tmp_path / "typo.pt")), "classification", (4,), 3)


def test_a_candidate_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    model = build(spec("resnet8", options={"width": 4}), (1, 8, 8), 3).eval()
    write_weights(model.state_dict(), tmp_path)
    facts = CandidateFacts(
        framework="pytorch", model=spec("resnet8", options={"width": 4}), input_shape=(1, 8, 8), outputs=3, parameters=1
    )
    loaded = PyTorch().load(Candidate.seal(tmp_path, facts))
    inputs = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)
    outputs = PyTorch().predict(loaded, inputs)
    assert not loaded.training
    assert outputs.dtype == np.float32
    np.testing.assert_array_equal(outputs, PyTorch().predict(model, inputs))


def test_many_samples_are_answered_in_their_order() -> None:
    model = build(spec("mlp"), (4,), 3).eval()
    inputs = np.random.default_rng(0).normal(size=(600, 4)).astype(np.float32)
    one_by_one = np.concatenate([PyTorch().predict(model, inputs[row : row + 1]) for row in range(600)])
    np.testing.assert_allclose(PyTorch().predict(model, inputs), one_by_one, atol=1e-6)
