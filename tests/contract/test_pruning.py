# SPDX-License-Identifier: Apache-2.0
"""Structured pruning: the share asked for is gone, the right channels went, and what is left travels and answers alike."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_passes import performed, trained
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
from edgewright.integrations.frameworks.pytorch.build import build
from edgewright.integrations.frameworks.pytorch.passes import prune as prune_pass
from edgewright.integrations.frameworks.pytorch.passes.groups import check_cut, cut, floors, parts, ranked, rounded
from edgewright.integrations.frameworks.pytorch.passes.prune import check_prune
from edgewright.integrations.frameworks.pytorch.structure import count_macs, count_parameters, describe, rebuild
from edgewright.ladder import why_not
from edgewright.latency import latency_ratio
from edgewright.plugins import create

OWN = """
import pathlib
import torch
from torch import nn

def joined(sample, outputs):
    return Joined(sample[0], outputs)

class Joined(nn.Module):
    '''Grouped and depthwise convolutions, two paths that are concatenated and one that is added.'''
    def __init__(self, channels, outputs):
        super().__init__()
        self.stem = nn.Conv2d(channels, 16, 3, padding=1, padding_mode="circular", bias=False)
        self.norm = nn.BatchNorm2d(16, eps=0.01)
        self.left = nn.Sequential(nn.Conv2d(16, 12, 3, padding="same", groups=4), nn.PReLU(12))
        self.right = nn.Conv2d(16, 8, 1)
        self.deep = nn.Sequential(nn.Conv2d(20, 20, 3, padding=1, groups=20), nn.BatchNorm2d(20), nn.ReLU())
        self.merge = nn.Conv2d(20, 16, 1)
        self.head = nn.Linear(16, outputs)
    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        both = self.deep(torch.cat([self.left(x), self.right(x)], 1))
        return self.head((x + self.merge(both)).mean((2, 3)))

def over_time(sample, outputs):
    layers = nn.Conv1d(sample[0], 16, 3), nn.BatchNorm1d(16, affine=False), nn.ReLU(), nn.Conv1d(16, 16, 3), nn.ReLU()
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(64, outputs))

def ends_in_convolution(sample, outputs):
    layers = nn.Conv2d(sample[0], 24, 3), nn.GroupNorm(4, 24), nn.PReLU(), nn.Conv2d(24, outputs, 3)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

def up_and_down(sample, outputs):
    layers = nn.Conv2d(sample[0], 16, 3), nn.ReLU(), nn.ConvTranspose2d(16, 12, 3), nn.LayerNorm(8), nn.ReLU()
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(768, outputs))

def normed(sample, outputs):
    layers = nn.Flatten(), nn.Linear(64, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, outputs)
    return nn.Sequential(*layers)

def frozen(sample, outputs):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, outputs))
    model[1].requires_grad_(False)
    return model

class HardCoded(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 8, 3, 2), nn.Linear(72, outputs)
    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).view(-1, 72))

def hard_coded(outputs): return HardCoded(outputs)

class Shuffled(nn.Module):
    def __init__(self, outputs, again):
        super().__init__()
        self.conv, self.again = nn.Conv2d(1, 8, 3, 2), nn.Conv2d(8, 8, 3) if again else nn.Identity()
        self.head = nn.Linear(8 if again else 72, outputs)
    def forward(self, x):
        x = torch.relu(self.conv(x))
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.head(self.again(x).flatten(1))

def shuffled(outputs, again=True): return Shuffled(outputs, again)
def shuffled_last(outputs): return Shuffled(outputs, False)

def single(sample, outputs): return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))

class Scaled(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.one, self.scale, self.two = nn.Linear(64, 32), nn.Parameter(torch.ones(32)), nn.Linear(32, outputs)
    def forward(self, x):
        return self.two(torch.relu(self.one(x.flatten(1)) * self.scale))

def scaled(outputs): return Scaled(outputs)

def interrupted(labels, outputs):
    with open("epochs.txt", "a") as file:
        file.write("x")
    at = pathlib.Path("interrupt_at")
    if at.exists() and len(pathlib.Path("epochs.txt").read_text()) == int(at.read_text()):
        raise KeyboardInterrupt
    return float((outputs.argmax(axis=1) == labels).mean())
"""
IMAGE, WINDOW = (1, 8, 8), (3, 32)


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


def untrained(architecture: str, sample: tuple[int, ...] = IMAGE, outputs: int = 10) -> nn.Module:
    name = architecture if architecture in PyTorch().architectures else f"own_prunable:{architecture}"
    torch.manual_seed(0)
    model = build(ModelSpec(architecture=name), sample, outputs).eval()
    for layer in model.modules():  # statistics and factors that differ from channel to channel
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean = torch.randn(layer.num_features)
            layer.running_var = torch.rand(layer.num_features) + 0.5
    return model


def l1(model: nn.Module) -> Any:
    del model
    return prune_pass._magnitude()


def outputs_of(model: nn.Module, data: Dataset, layout: str) -> np.ndarray:
    return PyTorch().predict(model, data.inputs("validation", layout))


# ---- which channels go together ----

ALL = [
    ("resnet8", IMAGE), ("resnet20", IMAGE), ("ds_cnn", IMAGE), ("mlp", IMAGE), ("cnn1d", WINDOW),
    ("joined", IMAGE), ("scaled", IMAGE),
    ("over_time", WINDOW), ("normed", IMAGE), ("ends_in_convolution", IMAGE), ("up_and_down", IMAGE), ("frozen", IMAGE),
]  # fmt: skip


@pytest.mark.parametrize(("architecture", "sample"), [case for case in ALL if case[0] not in ("scaled",)])
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_without_channels_a_model_answers_as_with_those_channels_switched_off(
    architecture: str, sample: tuple[int, ...], share: float
) -> None:
    model = untrained(architecture, sample)
    order = ranked(model, sample, l1(model), floors(model))
    units = order[: max(1, round(share * len(order)))]
    smaller = cut(model, sample, units)
    silenced, inputs = copy.deepcopy(model), torch.randn(4, *sample)
    for part in parts(silenced, sample, units):
        if part.consumes:
            part.weight.index_fill_(part.axis, part.positions, 0)
    if architecture not in ("normed", "ends_in_convolution"):  # layer and group normalization see that channels are gone
        torch.testing.assert_close(smaller(inputs), silenced(inputs), rtol=1e-4, atol=1e-4)
    assert count_parameters(smaller) < count_parameters(model)
    assert smaller(inputs).shape == (4, 10)


@pytest.mark.parametrize(("architecture", "sample"), ALL)
def test_a_cut_model_is_described_and_built_again(architecture: str, sample: tuple[int, ...]) -> None:
    model = untrained(architecture, sample)
    order = ranked(model, sample, l1(model), floors(model))
    if architecture == "scaled":  # its channels are scaled by a parameter that belongs to no layer
        assert not order
        return
    smaller = cut(model, sample, order[: len(order) // 2])
    again = rebuild(untrained(architecture, sample), describe(smaller, untrained(architecture, sample))).eval()
    again.load_state_dict(smaller.state_dict())
    inputs = torch.randn(2, *sample)
    torch.testing.assert_close(again(inputs), smaller(inputs), rtol=0, atol=0)
    assert [parameter.requires_grad for parameter in again.parameters()] == [
        parameter.requires_grad for parameter in smaller.parameters()
    ]


def test_every_layer_keeps_a_tenth_of_its_channels_and_grouped_layers_keep_their_groups() -> None:
    model = untrained("joined")
    smaller = cut(model, IMAGE, ranked(model, IMAGE, l1(model), floors(model)))
    left, deep = smaller.get_submodule("left.0"), smaller.get_submodule("deep.0")
    assert isinstance(left, nn.Conv2d)
    assert isinstance(deep, nn.Conv2d)
    assert (left.groups, left.in_channels, left.out_channels) == (4, 4, 4)
    assert deep.groups == deep.in_channels == deep.out_channels == 4 + 1
    narrowest = {name: min(layer.weight.shape[:2]) for name, layer in smaller.named_modules() if isinstance(layer, nn.Conv2d)}
    assert all(narrowest.values())
    assert smaller.get_submodule("head").weight.shape == (10, 4)


def test_channels_left_are_a_multiple_where_the_hardware_wants_it() -> None:
    model = untrained("resnet8")
    order = ranked(model, IMAGE, l1(model), floors(model))
    for count in (len(order) // 3, len(order)):
        smaller = cut(model, IMAGE, rounded(order[:count], 8))
        widths = [layer.out_channels for layer in smaller.modules() if isinstance(layer, nn.Conv2d)]
        assert all(width % 8 == 0 for width in widths)
    assert count_macs(smaller, IMAGE) < count_macs(model, IMAGE)


def test_channels_that_matter_least_go_first() -> None:
    model = untrained("mlp")
    with torch.no_grad():
        model.get_parameter("1.weight")[5] *= 1e-3
        model.get_parameter("1.bias")[5] = 0
        model.get_parameter("4.weight")[:, 5] *= 1e-3
    first = ranked(model, IMAGE, l1(model), floors(model))[0]
    assert (first.root, first.channels) == ("1", (5,))


# ---- shares are achieved ----


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


# ---- with other passes ----


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


# ---- what cannot be ----


def checked(architecture: str, **step: Any) -> None:
    check_prune(Prune.model_validate(step), ModelSpec(architecture=architecture), IMAGE, 10)


@pytest.mark.parametrize(
    ("architecture", "step", "says"),
    [
        ("resnet8", {"ratio": 0.999}, r"at most 9\d\.\d % of the multiply-acc.*99\.9 %.*recipe prune99_9.*at most 0\.9\d"),
        ("mlp", {"ratio": 0.8, "of": "params", "round_to": 32}, r"of the parameters.*prune80\.params.*or a smaller round_to"),
        ("own_prunable:hard_coded", {}, r"(?i)does not run with fewer channels: RuntimeError.*x\.flatten\(1\)"),
        ("own_prunable:hard_coded", {"of": "latency"}, "does not run with fewer channels"),
        ("own_prunable:shuffled", {}, "pruning does not follow|does not run with fewer channels"),
        ("own_prunable:shuffled_last", {}, "combines channels in a way that pruning does not follow"),
        ("own_prunable:single", {}, "no layer has channels that could go.*recipe prune50"),
        ("own_prunable:scaled", {}, "no layer has channels that could go"),
    ],
)
def test_what_cannot_be_pruned_is_refused_before_training(architecture: str, step: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=f"(?s){says}"):
        checked(architecture, **step)


def test_a_ratio_out_of_reach_is_refused_by_the_pass_too(
    baselines: dict[str, Candidate], data: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"at most 9\d\.\d %"):
        performed(Prune(ratio=0.99), baselines["ds_cnn"], baselines["ds_cnn"], data, tmp_path)
    with pytest.raises(ConfigError, match=r"(?s)measured on a target, and none is given.*prune50\.latency"):
        performed(Prune(of="latency"), baselines["mlp"], baselines["mlp"], data, tmp_path / "latency")


# ---- measured latency ----

QUICK = Measuring(warmup=1, invocations=3, processes=1)


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
