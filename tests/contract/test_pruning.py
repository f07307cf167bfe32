# SPDX-License-Identifier: Apache-2.0
"""Structured pruning: the share asked for is gone, also from other passes' models, and a target's latency is measured."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_passes import performed, trained
from own_prunable_models import IMAGE, OWN
from small_datasets import anomalies, digits, windows
from torch import nn

from edgewright.artifact import Candidate
from edgewright.config import Measuring, ModelSpec, Target
from edgewright.config.model_passes import Decompose, Prune, Sparsify
from edgewright.config.recipe import Rung
from edgewright.data.dataset import Dataset
from edgewright.errors import ConfigError, ModelError
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.pytorch import PyTorch
from edgewright.integrations.frameworks.pytorch.passes import prune as prune_pass
from edgewright.integrations.frameworks.pytorch.passes.groups import check_cut
from edgewright.integrations.frameworks.pytorch.structure import count_macs, count_parameters
from edgewright.ladder import why_not
from edgewright.latency import latency_ratio
from edgewright.plugins import create


@pytest.fixture(scope="module", autouse=True)
def own(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A module of the user's own, in the working folder."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_prunable.py").write_text(OWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return digits(tmp_path_factory.mktemp("digits") / "data")


@pytest.fixture(scope="module")
def baselines(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Candidate]:
    made = {
        name: trained(name, data, tmp_path_factory.mktemp("baseline") / "of", options, epochs=4)
        for name, options in {"resnet8": {"width": 8}, "ds_cnn": {"width": 16}, "mlp": {}, "own_prunable:joined": {}}.items()
    }
    signals = windows(tmp_path_factory.mktemp("windows") / "data")
    return made | {"cnn1d": trained("cnn1d", signals, tmp_path_factory.mktemp("baseline") / "of", epochs=4)}


@pytest.fixture(scope="module")
def signals(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return windows(tmp_path_factory.mktemp("windows") / "data")


def outputs_of(model: nn.Module, data: Dataset, layout: str) -> np.ndarray:
    return PyTorch().predict(model, data.inputs("validation", layout))


@pytest.mark.parametrize("architecture", ["resnet8", "ds_cnn", "mlp", "cnn1d", "own_prunable:joined"])
@pytest.mark.parametrize(
    "step",
    [
        {"ratio": 0.5},
        {"ratio": 0.6, "of": "params", "importance": "taylor"},
        {"ratio": 0.5, "importance": "group_sparsity", "epochs": 2},
        {"ratio": 0.7, "rounds": 2, "epochs": 2},
    ],
    ids=["magnitude", "params.taylor", "group_sparsity", "rounds"],
)
def test_the_share_asked_for_is_gone_and_the_candidate_loads(
    architecture: str, step: dict[str, Any], baselines: dict[str, Candidate], data: Dataset, signals: Dataset, tmp_path: Path
) -> None:
    baseline, seen = baselines[architecture], signals if architecture == "cnn1d" else data
    asked = Prune.model_validate({"epochs": 1} | step)
    pruned = performed(asked, baseline, baseline, seen, tmp_path)
    facts = pruned.facts.passes[-1]
    before, after = facts.parameters if asked.of == "params" else facts.macs
    assert facts.achieved == pytest.approx(1 - after / before)
    assert asked.ratio <= facts.achieved < asked.ratio + 0.1  # the coarsest model loses four channels of a layer at a time
    assert [epoch.epoch for epoch in facts.history] == list(range(1, (asked.epochs or 0) + 1))
    loaded, sample = PyTorch().load(pruned), pruned.facts.input_shape
    assert (count_parameters(loaded), count_macs(loaded, sample)) == (pruned.facts.parameters, pruned.facts.macs)
    layout = "NCL" if architecture == "cnn1d" else "NCHW"
    score = (outputs_of(loaded, seen, layout).argmax(1) == seen.labels("validation")).mean()
    assert score == pytest.approx(facts.score[1])


def test_each_round_takes_its_part(baselines: dict[str, Candidate], data: Dataset, tmp_path: Path) -> None:
    shares = list(prune_pass._shares(Prune(ratio=0.875, rounds=3)))
    assert shares == pytest.approx([0.5, 0.75, 0.875])
    one, three = (
        performed(Prune(ratio=0.8, rounds=rounds, epochs=3), baselines["mlp"], baselines["mlp"], data, tmp_path / str(rounds))
        for rounds in (1, 3)
    )
    assert len(one.facts.passes[0].history) == len(three.facts.passes[0].history) == 3
    assert three.facts.best_epoch == 3  # only the last round's epochs have the size that was asked for


def test_round_to_overshoots_and_says_so(baselines: dict[str, Candidate], data: Dataset, tmp_path: Path) -> None:
    step = Prune(ratio=0.4, round_to=16, epochs=1)
    pruned = performed(step, baselines["mlp"], baselines["mlp"], data, tmp_path)
    widths = [layer.out_features for layer in PyTorch().load(pruned).modules() if isinstance(layer, nn.Linear)]
    assert all(width % 16 == 0 for width in widths[:-1])
    assert pruned.facts.passes[0].achieved == pytest.approx(1 - pruned.facts.macs / baselines["mlp"].facts.macs)


def test_an_autoencoder_is_pruned_and_its_reconstruction_keeps_its_shape(tmp_path: Path) -> None:
    data = anomalies(tmp_path / "data")
    out = tmp_path / "baseline"
    out.mkdir()
    spec = ModelSpec.model_validate({"architecture": "mlp", "training": {"epochs": 2, "batch_size": 32}})
    baseline = Candidate.seal(out, PyTorch().train(spec, data, 0, "auc", out, tmp_path / "checkpoints"))
    (tmp_path / "pruned").mkdir()
    step = Prune(ratio=0.5, importance="taylor", epochs=1)
    request = ModelPassRequest(baseline, baseline, data, step, "auc", 0, tmp_path / "pruned", tmp_path / "more")
    facts = PyTorch().passes[Prune](request)
    assert facts.passes[0].achieved is not None
    assert facts.passes[0].achieved >= 0.5
    assert PyTorch().load(Candidate.seal(tmp_path / "pruned", facts))(torch.zeros(2, 10)).shape == (2, 10)


def test_group_sparsity_drives_to_zero_what_is_then_cut(
    baselines: dict[str, Candidate], data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {}
    for importance in ("magnitude", "group_sparsity"):
        cuts: list[float] = []

        def noted(model: nn.Module, smaller: nn.Module, sample: Any, units: Any, cuts: list[float] = cuts) -> None:
            cuts.append(sum(unit.score for unit in units) / len(units))
            check_cut(model, smaller, sample, units)

        monkeypatch.setattr("edgewright.integrations.frameworks.pytorch.passes.search.check_cut", noted)
        step = Prune.model_validate({"ratio": 0.6, "importance": importance, "epochs": 4})
        performed(step, baselines["resnet8"], baselines["resnet8"], data, tmp_path / importance)
        scores[importance] = cuts[-1]
    assert scores["group_sparsity"] < 0.05 * scores["magnitude"]


def test_pruning_again_gives_the_same_weights(baselines: dict[str, Candidate], data: Dataset, tmp_path: Path) -> None:
    step = Prune(ratio=0.5, importance="taylor", rounds=2, epochs=2)
    one, two = (performed(step, baselines["ds_cnn"], baselines["ds_cnn"], data, tmp_path / name) for name in "ab")
    assert one.files == two.files


@pytest.mark.parametrize("at", [2, 4])
def test_an_interrupted_pruning_ends_with_the_weights_it_would_have_had(
    at: int, baselines: dict[str, Candidate], data: Dataset, tmp_path: Path, own: Path
) -> None:
    step = Prune(ratio=0.6, importance="group_sparsity", rounds=2, epochs=6)

    def run(folder: str, checkpoints: str) -> bytes:
        (tmp_path / folder).mkdir(exist_ok=True)
        (own / "epochs.txt").unlink(missing_ok=True)
        mlp, by = baselines["mlp"], "own_prunable:interrupted"
        PyTorch().passes[Prune](ModelPassRequest(mlp, mlp, data, step, by, 0, tmp_path / folder, tmp_path / checkpoints))
        return (tmp_path / folder / "weights.safetensors").read_bytes()

    through = run("through", "a")
    (own / "interrupt_at").write_text(str(at))
    with pytest.raises(KeyboardInterrupt):
        run("interrupted", "b")
    (own / "interrupt_at").unlink()
    assert run("interrupted", "b") == through
    assert len((own / "epochs.txt").read_text()) < 6 + 2  # those before the interruption were not trained again


def test_zeros_of_an_earlier_pass_stay(baselines: dict[str, Candidate], data: Dataset, tmp_path: Path) -> None:
    baseline = baselines["resnet8"]
    sparse = performed(Sparsify(ratio=0.6, epochs=1), baseline, baseline, data, tmp_path / "sparse")
    for step in (Prune(ratio=0.4, epochs=1), Prune(ratio=0.4, importance="group_sparsity", epochs=2)):
        pruned = performed(step, sparse, baseline, data, tmp_path / step.name)
        assert pruned.facts.passes[-1].zeros > 0.45
        assert [one.name for one in pruned.facts.passes] == ["sparsify60", step.name]


def test_decomposed_layers_are_pruned(baselines: dict[str, Candidate], data: Dataset, tmp_path: Path) -> None:
    baseline = baselines["resnet8"]
    low = performed(Decompose(ratio=0.4, epochs=1), baseline, baseline, data, tmp_path / "low")
    pruned = performed(Prune(ratio=0.4, epochs=1), low, baseline, data, tmp_path / "pruned")
    assert pruned.facts.passes[-1].achieved >= 0.4
    assert PyTorch().load(pruned)(torch.zeros(2, *IMAGE)).shape == (2, 10)


def test_a_ratio_out_of_reach_is_refused_by_the_pass_too(
    baselines: dict[str, Candidate], data: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"at most 9\d\.\d %"):
        performed(Prune(ratio=0.99), baselines["ds_cnn"], baselines["ds_cnn"], data, tmp_path)
    with pytest.raises(ConfigError, match=r"(?s)measured on a target, and none is given.*prune50\.latency"):
        performed(Prune(of="latency"), baselines["mlp"], baselines["mlp"], data, tmp_path / "latency")


QUICK = Measuring(warmup=1, invocations=3, processes=1)


@pytest.mark.usefixtures("in_this_process")
def test_a_latency_is_measured_on_the_target_and_remembered(
    baselines: dict[str, Candidate], data: Dataset, tmp_path: Path
) -> None:
    baseline, asked = baselines["mlp"], []
    measured = latency_ratio(Target(name="pc", runtime="onnxruntime"), QUICK, baseline, data)
    assert 0 < measured(baseline) < 100

    def as_if(candidate: Candidate) -> float:  # a machine whose latency is its multiply-accumulates, and a fixed part
        asked.append(candidate)
        return 0.2 + 0.8 * count_macs(PyTorch().load(candidate), IMAGE) / (baseline.facts.macs or 0)

    def run(folder: str) -> Candidate:
        (tmp_path / folder).mkdir()
        step = Prune(ratio=0.5, of="latency", epochs=1)
        request = ModelPassRequest(
            baseline, baseline, data, step, "top1", 0, tmp_path / folder, tmp_path / "checkpoints", as_if
        )
        return Candidate.seal(tmp_path / folder, PyTorch().passes[Prune](request))

    first = run("first")
    assert 0.5 <= first.facts.passes[0].achieved < 0.58
    assert first.facts.passes[0].name == "prune50.latency"
    assert len(asked) <= 8
    taken = len(asked)
    assert run("again").files == first.files
    assert len(asked) == taken


def test_a_latency_that_is_not_measured_prunes_nothing(baselines: dict[str, Candidate], data: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"(?s)emulated, not measured.*target mcu.*of: macs"):
        latency_ratio(Target(name="mcu", runtime="tflite_micro"), QUICK, baselines["mlp"], data)
    rung = Rung.of("prune50.latency-ptq_w8a8")
    refused = why_not(rung, create("runtimes", "tflite_micro"), PyTorch())
    assert refused is not None
    assert "emulated" in refused
    assert why_not(rung, create("runtimes", "onnxruntime"), PyTorch()) is None
