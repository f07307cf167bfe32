# SPDX-License-Identifier: Apache-2.0
"""Unstructured sparsity: as many zeros as asked for, in the pattern asked for, and they stay."""

from pathlib import Path
from typing import Any

import pytest
import torch
from model_passes import performed, trained
from safetensors.torch import load_file, save_file
from small_datasets import digits

from edgewright.artifact import Candidate
from edgewright.config import ModelSpec
from edgewright.config.model_passes import Cluster, Prune, Sparsify
from edgewright.data.dataset import Dataset
from edgewright.errors import ModelError
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.pytorch import PyTorch
from edgewright.integrations.frameworks.pytorch.passes.sparsify import _runs, _smallest, check_sparsify
from edgewright.metrics import metric

OWN = """
import pathlib

def interrupted(labels, outputs):
    with open("epochs.txt", "a") as file:
        file.write("x")
    if pathlib.Path("interrupt").exists() and len(pathlib.Path("epochs.txt").read_text()) == 2:
        raise KeyboardInterrupt
    return float((outputs.argmax(axis=1) == labels).mean())
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return digits(tmp_path_factory.mktemp("digits") / "data")


@pytest.fixture(scope="module")
def baseline(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    return trained("resnet8", data, tmp_path_factory.mktemp("baseline") / "of", {"width": 8})


def weights_of(candidate: Candidate) -> dict[str, torch.Tensor]:
    stored = load_file(candidate.path / "weights.safetensors")
    return {name: tensor for name, tensor in stored.items() if name.endswith("weight") and tensor.dim() > 1}


def zeros_of(candidate: Candidate) -> float:
    weights = weights_of(candidate).values()
    return float(sum((weight == 0).sum() for weight in weights) / sum(weight.numel() for weight in weights))


def runs_of(weight: torch.Tensor, run: int) -> torch.Tensor:
    """(number of runs, run) along the input channels."""
    return torch.stack([part for block in weight.split(run, 1) for part in block.movedim(1, -1).reshape(-1, run)])


@pytest.mark.parametrize(("ratio", "epochs"), [(0.7, 3), (0.7, 1), (0.93, 2)])
def test_as_many_weights_are_zero_as_were_asked_for(
    ratio: float, epochs: int, baseline: Candidate, data: Dataset, tmp_path: Path
) -> None:
    sparse = performed(Sparsify(ratio=ratio, epochs=epochs), baseline, baseline, data, tmp_path)
    facts = sparse.facts.passes[0]
    assert facts.achieved == facts.zeros == pytest.approx(zeros_of(sparse))
    assert ratio <= facts.zeros < ratio + 0.001
    assert facts.macs[0] == facts.macs[1]
    loaded = PyTorch().predict(PyTorch().load(sparse), data.inputs("validation", "NCHW"))
    assert metric("top1").score(data.labels("validation"), loaded) == pytest.approx(facts.score[1])


def test_training_while_zeros_grow_costs_little(baseline: Candidate, data: Dataset, tmp_path: Path) -> None:
    sparse = performed(Sparsify(ratio=0.7, epochs=4), baseline, baseline, data, tmp_path)
    before, after = sparse.facts.passes[0].score
    cut, weights = PyTorch().load(baseline), dict(PyTorch().load(baseline).named_parameters())
    for name, mask in _smallest({name: one for name, one in weights.items() if one.dim() > 1}, 0.7).items():
        cut.get_parameter(name).data.mul_(mask)
    at_once = metric("top1").score(data.labels("validation"), PyTorch().predict(cut, data.inputs("validation", "NCHW")))
    assert after > at_once
    assert after > before - 0.1


@pytest.mark.parametrize("pattern", ["2of4", "1of4", "1of2", "3of8"])
def test_the_pattern_holds_in_every_run_of_weights(pattern: str, baseline: Candidate, data: Dataset, tmp_path: Path) -> None:
    kept, run = (int(number) for number in pattern.split("of"))
    sparse = performed(Sparsify(pattern=pattern, epochs=1), baseline, baseline, data, tmp_path)
    fitting = {name: weight for name, weight in weights_of(sparse).items() if weight.shape[1] % run == 0}
    assert len(fitting) == len(weights_of(sparse)) - 1  # all but the stem, which sees one channel
    for weight in fitting.values():
        left = (runs_of(weight, run) != 0).sum(1)
        assert bool((left <= kept).all())
        assert float(left.float().mean()) > 0.95 * kept
    assert sparse.facts.passes[0].achieved == pytest.approx(zeros_of(sparse))


def test_the_largest_of_each_run_stay() -> None:
    weight = torch.tensor([[1.0, -4, 3, 2], [0, 0, -1, 5]])
    assert _runs(weight, 2, 4).tolist() == [[False, True, True, False], [False, False, True, True]]
    assert _runs(weight, 1, 2).tolist() == [[False, True, True, False], [True, False, False, True]]
    kernel = torch.randn(6, 8, 3, 3)
    mask = _runs(kernel, 1, 4)
    assert mask.shape == kernel.shape
    assert bool((runs_of(kernel * mask, 4).abs().amax(1) == runs_of(kernel, 4).abs().amax(1)).all())


def test_the_smallest_of_all_layers_go_but_no_layer_loses_its_last() -> None:
    weights = {"small": torch.tensor([[0.1, 0.2]]), "large": torch.tensor([[1.0, -2.0], [0.05, 3.0]])}
    masks = _smallest(weights, 0.5)
    assert masks["small"].tolist() == [[False, True]]
    assert masks["large"].tolist() == [[False, True], [False, True]]


def test_zeros_of_earlier_passes_stay_in_later_ones(baseline: Candidate, data: Dataset, tmp_path: Path) -> None:
    half = performed(Sparsify(ratio=0.5, epochs=1), baseline, baseline, data, tmp_path / "half")
    zero = {name: weight == 0 for name, weight in weights_of(half).items()}
    steps = [Sparsify(ratio=0.8, epochs=1), Sparsify(pattern="2of4", epochs=1), Cluster(clusters=8, epochs=1)]
    for step in steps:
        further = performed(step, half, baseline, data, tmp_path / step.name)
        for name, weight in weights_of(further).items():
            assert bool((weight[zero[name]] == 0).all())
    less = performed(Sparsify(ratio=0.3, epochs=1), half, baseline, data, tmp_path / "less")
    assert less.facts.passes[-1].zeros >= 0.5
    pruned = performed(Prune(ratio=0.3, epochs=1), half, baseline, data, tmp_path / "pruned")
    assert pruned.facts.passes[-1].zeros > 0.35


@pytest.mark.parametrize("step", [{"ratio": 0.7}, {"pattern": "2of4"}])
def test_an_interrupted_pass_ends_with_the_weights_it_would_have_had(
    step: dict[str, Any], baseline: Candidate, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own_sparse.py").write_text(OWN)

    def run(folder: str, checkpoints: str) -> bytes:
        Path(folder).mkdir(exist_ok=True)
        Path("epochs.txt").unlink(missing_ok=True)
        asked, by = Sparsify.model_validate({"epochs": 4} | step), "own_sparse:interrupted"
        request = ModelPassRequest(baseline, baseline, data, asked, by, 0, tmp_path / folder, tmp_path / checkpoints)
        PyTorch().passes[Sparsify](request)
        return Path(folder, "weights.safetensors").read_bytes()

    through = run("through", "a")
    Path("interrupt").touch()
    with pytest.raises(KeyboardInterrupt):
        run("interrupted", "b")
    Path("interrupt").unlink()
    assert run("interrupted", "b") == through
    assert len(Path("epochs.txt").read_text()) == 3 + 2  # the epochs that were left, and a score before and after


def test_what_cannot_be_sparse_is_refused(baseline: Candidate, data: Dataset, tmp_path: Path) -> None:
    narrow = ModelSpec(architecture="mlp", options={"hidden": [9, 9]})
    with pytest.raises(ModelError, match=r"(?s)runs of 8; they have: '1' 63, '4' 9, '7' 9.*sparsify\.2of8.*'1of2'"):
        check_sparsify(Sparsify(pattern="2of8"), narrow, (63,), 10)
    check_sparsify(Sparsify(pattern="2of8"), ModelSpec(architecture="resnet8"), (1, 8, 8), 10)
    with pytest.raises(ModelError, match=r"(?s)no more than one weight of a whole layer.*sparsify99_9, layer '0\.0'"):
        performed(Sparsify(ratio=0.999), shrunk(baseline, tmp_path / "shrunk"), baseline, data, tmp_path / "out")


def shrunk(baseline: Candidate, out: Path) -> Candidate:
    """The baseline with a first layer whose weights are the smallest of all."""
    out.mkdir()
    stored = load_file(baseline.path / "weights.safetensors")
    stored["0.0.weight"] *= 1e-6
    save_file(stored, out / "weights.safetensors")
    return Candidate.seal(out, baseline.facts)
