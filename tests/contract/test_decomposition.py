# SPDX-License-Identifier: Apache-2.0
"""Low-rank decomposition: layers that do the same with less, ranks that save what was asked, weights that travel."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_passes import performed, trained
from safetensors.torch import load_file
from small_datasets import digits, windows
from torch import nn

from edgewright.artifact import Candidate
from edgewright.config import ModelSpec, ReleaseConfig
from edgewright.config.model_passes import Decompose, Prune
from edgewright.data.dataset import Dataset
from edgewright.errors import ModelError
from edgewright.export import export_model
from edgewright.integrations.frameworks.pytorch import PyTorch
from edgewright.integrations.frameworks.pytorch.passes import lowrank
from edgewright.integrations.frameworks.pytorch.passes.factorize import Positions, factors, options
from edgewright.integrations.frameworks.pytorch.passes.ranks import Options, by_budget, by_energy
from edgewright.integrations.frameworks.pytorch.structure import count_macs
from edgewright.plugins import create
from edgewright.preflight import check_recipes

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return digits(tmp_path_factory.mktemp("digits") / "data")


@pytest.fixture(scope="module")
def baseline(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    return trained("resnet8", data, tmp_path_factory.mktemp("baseline"), {"width": 8})


def kernel(*shape: int, rank: int = 3, noise: float = 0.0) -> Array:
    """A kernel that is the sum of ``rank`` outer products, under noise."""
    random = np.random.default_rng(0)
    matrices = [random.normal(size=(size, rank)) for size in shape]
    letters = "abcd"[: len(shape)]
    whole = np.einsum(",".join(f"{letter}r" for letter in letters) + f"->{letters}", *matrices)
    return whole + noise * random.normal(size=shape) * whole.std()  # type: ignore[no-any-return]


# ---- a layer and what replaces it ----


def layer_of(kind: str) -> nn.Module:
    layers: dict[str, nn.Module] = {
        "linear": nn.Linear(12, 10),
        "pointwise": nn.Conv2d(12, 10, 1, stride=2, padding=1),
        "spatial": nn.Conv2d(12, 10, 3, stride=(2, 1), padding=(1, 2), dilation=(1, 2)),
        "same": nn.Conv2d(12, 10, (3, 5), padding="same", dilation=(2, 1)),
        "over time": nn.Conv2d(12, 10, (1, 5), stride=(1, 2), padding=(0, 2), bias=False),
        "series": nn.Conv1d(12, 10, 5, stride=2, padding=2, dilation=1),
        "pointwise series": nn.Conv1d(12, 10, 1, stride=2),
        "over height": nn.Conv2d(12, 10, (5, 1), stride=2, padding=(2, 1)),
    }
    layer = layers[kind]
    weight = layer.get_parameter("weight")
    weight.data = torch.from_numpy(kernel(*weight.shape)).float()
    return layer


def sample_of(kind: str) -> tuple[int, ...]:
    return (12,) if kind == "linear" else (12, 16) if "series" in kind else (12, 9, 8)


@pytest.mark.parametrize(
    ("kind", "method", "ranks", "count"),
    [
        ("linear", "tucker2", (3,), 2),
        ("pointwise", "cp", (3,), 2),
        ("spatial", "tucker2", (3, 3), 3),
        ("spatial", "tucker2", (10, 3), 2),
        ("spatial", "tucker2", (3, 12), 2),
        ("over time", "tucker2", (3, 3), 3),
        ("same", "tucker2", (3, 3), 3),
        ("same", "cp", (3,), 4),
        ("spatial", "cp", (3,), 4),
        ("over time", "cp", (3,), 3),
        ("over height", "cp", (3,), 3),
        ("series", "tucker2", (3, 3), 3),
        ("series", "cp", (3,), 3),
        ("pointwise series", "tucker2", (3,), 2),
    ],
)
def test_a_layer_of_low_rank_is_replaced_by_layers_that_do_the_same(
    kind: str, method: Any, ranks: tuple[int, ...], count: int
) -> None:
    layer = layer_of(kind)
    inputs = torch.randn(2, *sample_of(kind))
    made = factors(layer, ranks, method, seed=0)
    with torch.no_grad():
        before, after = layer(inputs), nn.Sequential(*made)(inputs)
    assert len(made) == count
    assert after.shape == before.shape
    assert float((after - before).norm() / before.norm()) < (0.02 if method == "cp" else 1e-5)


@pytest.mark.parametrize("kind", ["linear", "pointwise", "spatial", "over time", "over height", "series"])
@pytest.mark.parametrize("method", ["tucker2", "cp"])
def test_ranks_cost_what_the_layers_made_of_them_compute_and_lose_no_more_than_said(kind: str, method: Any) -> None:
    layer = layer_of(kind)
    weight = layer.get_parameter("weight")
    weight.data = torch.from_numpy(kernel(*weight.shape, noise=0.5)).float()
    sample = sample_of(kind)
    given, at = torch.randn(1, *sample), Positions()
    at.count(layer, given, layer(given))
    found = options(layer, at, method, seed=0)
    assert found.whole == count_macs(layer, sample)
    assert len(found.macs) >= 2
    assert (np.diff(found.macs) > 0).all()
    assert found.macs[-1] < found.whole
    for ranks, macs, lost in zip(found.ranks, found.macs, found.lost, strict=True):
        made = nn.Sequential(*factors(layer, tuple(ranks.tolist()), method, seed=0))
        assert count_macs(made, sample) == macs
        assert lost_share(layer, made, sample) <= lost + 1e-6


def lost_share(layer: nn.Module, made: nn.Module, sample: tuple[int, ...]) -> float:
    """Share of the squared weights that is lost, seen in the answers to single ones where no padding is near."""
    if len(sample) == 1:
        ones = torch.eye(sample[0])
    else:
        ones = torch.zeros(sample[0], sample[0], *(41 for _ in sample[1:]))
        ones[(range(sample[0]), range(sample[0]), *(20 for _ in sample[1:]))] = 1
        layer, made = copy.deepcopy(layer), copy.deepcopy(made)
        for part in (layer, *made.children()):
            if isinstance(part, nn.Conv1d | nn.Conv2d):
                part.stride = tuple(1 for _ in part.stride)
    with torch.no_grad():
        zero = layer(torch.zeros_like(ones))
        before, after = layer(ones) - zero, made(ones) - zero
    return float(((after - before) ** 2).sum() / (before**2).sum())


def test_losses_are_those_of_the_singular_values() -> None:
    matrix = np.diag([2.0, 1.0, 1.0])
    np.testing.assert_allclose(lowrank.svd_losses(matrix), [2 / 6, 1 / 6, 0])
    np.testing.assert_array_equal(lowrank.svd_losses(np.zeros((2, 3))), [0, 0])


# ---- which ranks ----


def line(whole: int, lost: list[float]) -> Options:
    """Ranks 1, 2, … that cost 10 each."""
    ranks = np.arange(1, len(lost) + 1)
    return Options.saving(whole, ranks[:, None], 10 * ranks, np.array(lost))


def test_ranks_that_save_nothing_or_that_another_beats_are_no_options() -> None:
    found = line(40, [0.5, 0.6, 0.1, 0.0, 0.0])
    assert found.ranks.ravel().tolist() == [1, 3]


def test_energy_takes_the_cheapest_rank_that_keeps_it() -> None:
    found = line(100, [0.5, 0.2, 0.1, 0.05])
    assert [by_energy(found, energy) for energy in (0.4, 0.8, 0.93, 0.99)] == [0, 1, 3, None]


def test_a_budget_takes_what_loses_least_for_each_operation_first() -> None:
    compressible, dense = line(50, [0.1, 0.01, 0.005, 0.0]), line(50, [0.8, 0.6, 0.4, 0.2])
    assert by_budget([dense, compressible], 30) == [None, 1]
    assert by_budget([dense, compressible], 50) == [3, 0]
    assert by_budget([dense, compressible], 80) == [0, 0]
    assert by_budget([dense, compressible], 81) is None


def test_the_last_step_goes_no_further_than_is_needed() -> None:
    """One layer whose hull jumps from whole to the first rank: a rank between is enough."""
    bulging = line(100, [0.10, 0.09, 0.08, 0.07, 0.06])
    assert by_budget([bulging], 55) == [3]


# ---- the pass ----


@pytest.mark.parametrize("method", ["tucker2", "cp"])
def test_the_share_asked_for_goes_and_the_model_still_knows(
    method: Any, baseline: Candidate, data: Dataset, tmp_path: Path
) -> None:
    step = Decompose(ratio=0.4, method=method, epochs=2)
    made = performed(step, baseline, baseline, data, tmp_path / "made")
    facts, done = made.facts, made.facts.passes[-1]
    model = PyTorch().load(Candidate.open(made.path))
    whole = count_macs(PyTorch().load(baseline), facts.input_shape)
    assert done.achieved == pytest.approx(1 - count_macs(model, facts.input_shape) / whole)
    assert 0.4 <= done.achieved < 0.5
    assert done.macs == (whole, facts.macs)
    assert done.score[1] > done.score[0] - 0.1
    assert any(len(specs) == (4 if method == "cp" else 2) for specs in facts.layers.values())
    answers = PyTorch().predict(model, data.inputs("validation", "NCHW"))
    assert (answers.argmax(axis=1) == data.labels("validation")).mean() == pytest.approx(done.score[1])


def test_layers_keep_the_energy_asked_for(baseline: Candidate, data: Dataset, tmp_path: Path) -> None:
    made = performed(Decompose(energy=0.8, epochs=1), baseline, baseline, data, tmp_path / "made")
    done = made.facts.passes[-1]
    assert (done.name, done.achieved) == ("decompose.energy80", None)
    assert done.macs[1] < done.macs[0]


def test_a_network_over_time_is_decomposed(tmp_path: Path) -> None:
    series = windows(tmp_path / "data")
    baseline = trained("cnn1d", series, tmp_path / "baseline")
    made = performed(Decompose(ratio=0.5, epochs=2), baseline, baseline, series, tmp_path / "made")
    assert made.facts.passes[-1].achieved >= 0.5  # type: ignore[operator]
    assert made.facts.passes[-1].score[1] > 0.8


@pytest.mark.usefixtures("in_this_process")
def test_it_follows_other_passes_and_itself_and_is_exported(baseline: Candidate, data: Dataset, tmp_path: Path) -> None:
    candidate = baseline
    for at, step in enumerate([Prune(ratio=0.3, epochs=1), Decompose(ratio=0.3, epochs=1), Decompose(ratio=0.2, epochs=1)]):
        candidate = performed(step, candidate, baseline, data, tmp_path / str(at))
    assert candidate.facts.recipe == "prune30-decompose30-decompose20"
    artifact = export_model(candidate, data, "onnxruntime", {}, tmp_path / "exported")
    inputs = data.inputs("test", "NCHW")[:8]
    session = create("runtimes", "onnxruntime").load(artifact.main_file, 1)
    answers = np.concatenate([session.run(one[None]) for one in inputs])
    np.testing.assert_allclose(answers, PyTorch().predict(PyTorch().load(candidate), inputs), atol=1e-4)


def test_the_same_request_gives_the_same_weights(data: Dataset, tmp_path: Path) -> None:
    baseline = trained("mlp", data, tmp_path / "baseline", {"hidden": [32]}, epochs=1)
    step = Decompose(ratio=0.5, epochs=1)
    one, two = (performed(step, baseline, baseline, data, tmp_path / name) for name in ("one", "two"))
    first, second = (load_file(made.path / "weights.safetensors") for made in (one, two))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Decompose(ratio=0.97), r"97 % of the multiply-accumulates cannot go: with every layer at its lowest rank it is \d\d"),
        (Decompose(energy=0.9999), r"while each layer keeps 99.99 % of its energy, none gets cheaper"),
    ],
)
def test_what_cannot_be_reached_is_refused(
    step: Decompose, message: str, baseline: Candidate, data: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message):
        performed(step, baseline, baseline, data, tmp_path / "made")


def test_a_share_no_ranks_reach_is_refused_before_training_for_the_model_it_would_be_asked_of(data: Dataset) -> None:
    """Depthwise layers stay, so that 70 % cannot go from the baseline; from a student of linear layers it can."""
    baseline = ModelSpec(architecture="ds_cnn", options={"width": 8, "blocks": 2})
    with pytest.raises(ModelError, match=r"70 % of the multiply-accumulates cannot go: .* it is \d\d"):
        PyTorch().check_pass(Decompose(ratio=0.7), baseline, "classification", (1, 8, 8), 10)
    PyTorch().check_pass(Decompose(ratio=0.3), baseline, "classification", (1, 8, 8), 10)
    release = {"targets": [{"name": "board", "runtime": "onnxruntime", "budget": {"size_bytes": 10**6}}]}
    release |= {"model": baseline.model_dump(), "ladder": ["distill.mlp-decompose70"]}
    assert check_recipes(ReleaseConfig.model_validate(release), data) == (1, 8, 8)
