# SPDX-License-Identifier: Apache-2.0
"""Accuracy-aware fallback: networks with layers seeded to suffer under quantization, in every runtime that can keep them."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from edgewright import plugins
from edgewright.artifact import Artifact, Candidate
from edgewright.config.file_passes import PtqW8A8, PtqW8A16
from edgewright.config.model import ModelSpec, Training
from edgewright.config.recipe import Rung
from edgewright.data.dataset import Dataset
from edgewright.errors import ExportError
from edgewright.export import apply_pass, export_model
from edgewright.integrations.runtimes.litert import LiteRT
from edgewright.integrations.runtimes.litert import graph as tflite_graph
from edgewright.integrations.runtimes.null import NullRuntime
from edgewright.integrations.runtimes.onnxruntime import OnnxRuntime
from edgewright.integrations.runtimes.tflite_micro import TFLiteMicro
from edgewright.quantize import Operator, answers, with_followers
from edgewright.runtime import PassRequest, Runtime
from edgewright.testing.patterns import SAMPLES, three_classes

WANTED = 0.95
INPUTS = np.random.default_rng(0).normal(size=(160, 16)).astype(np.float32)
IMAGES = np.random.default_rng(0).normal(size=(160, 3, 6, 8)).astype(np.float32)


def drawn(model: nn.Module) -> nn.Module:
    """Weights whose answers depend on the input, without biases: untrained ones name one class for all."""
    torch.manual_seed(0)
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return model


def dense() -> nn.Module:
    return drawn(
        nn.Sequential(
            nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4)
        )
    )


def ruined_weights() -> nn.Module:
    """Layer '2' has a huge weight in every row, for an input that is always 0: at 8 bits all its other weights vanish."""
    model = dense()
    with torch.no_grad():
        model[0].weight[5], model[0].bias[5] = 0.0, -1.0
        model[2].weight[:, 5] = 1e3
    return model


def outlier_channel() -> nn.Module:
    """What lies between layers '0' and '2' has a channel of a constant 3000 that nobody reads: at 8 bits the others vanish."""
    model = dense()
    with torch.no_grad():
        model[0].weight[5], model[0].bias[5] = 0.0, 3e3
        model[2].weight[:, 5] = 0.0
    return model


def ruined_convolution() -> nn.Module:
    """As `ruined_weights`, in the second convolution of a residual network."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.body = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
            self.head = nn.Linear(8 * 6 * 8, 4)
            drawn(self)
            with torch.no_grad():
                self.stem.weight[2], self.stem.bias[2] = 0.0, -1.0
                self.body.weight[:, 2] = 1e3

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            stem = torch.relu(self.stem(inputs))
            return self.head((stem + self.body(stem)).flatten(1))  # type: ignore[no-any-return]

    return Residual()


@dataclass(frozen=True)
class Case:
    runtime: Runtime
    parent: Path
    inputs: np.ndarray[Any, Any]
    folder: Path

    def quantize(self, options: PtqW8A8, name: str = "out") -> tuple[Path, dict[str, Any]]:
        out = self.folder / f"{name}{self.runtime.suffix}"
        return out, self.runtime.passes[type(options)](
            PassRequest(self.parent, out, self.inputs[:100], options, self.inputs[100:])
        ) or {}

    def agreement(self, file: Path) -> float:
        got, wanted = (
            answers(self.runtime.load(each, 1), self.runtime.inspect(each), self.inputs[100:]) for each in (file, self.parent)
        )
        return float(np.mean(got.argmax(1) == wanted.argmax(1)))


Make = Callable[[], nn.Module]


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Make, type[Runtime]], Path]:
    """A network's float file in the format of a runtime, written once."""

    @cache
    def written(make: Make, writer: type[Runtime]) -> Path:
        runtime = writer()
        file = tmp_path_factory.mktemp("float") / f"float{runtime.suffix}"
        example = IMAGES if make is ruined_convolution else INPUTS
        runtime.export(make().eval(), example[:1], file, runtime.Options())
        return file

    return lambda make, runtime: written(make, OnnxRuntime if runtime is OnnxRuntime else LiteRT)


@pytest.fixture(params=[OnnxRuntime, LiteRT, TFLiteMicro], ids=lambda runtime: runtime.name)
def export(
    request: pytest.FixtureRequest, parent: Callable[[Make, type[Runtime]], Path], tmp_path: Path
) -> Callable[[Make, np.ndarray[Any, Any]], Case]:
    def exported(make: Make, inputs: np.ndarray[Any, Any]) -> Case:
        runtime, file = request.param(), parent(make, request.param)
        channels_last = inputs.ndim > 2 and runtime.inspect(file).inputs[0].layout == "NHWC"
        return Case(runtime, file, np.moveaxis(inputs, 1, -1).copy() if channels_last else inputs, tmp_path)

    return exported


@pytest.mark.parametrize(
    ("make", "inputs", "sensitive"),
    [
        (ruined_weights, INPUTS, ["2"]),
        (ruined_convolution, IMAGES, ["body"]),
        (outlier_channel, INPUTS, ["0", "2"]),
    ],
)
def test_exactly_the_sensitive_layers_are_kept_in_float(
    export: Callable[..., Case], make: Make, inputs: np.ndarray[Any, Any], sensitive: list[str]
) -> None:
    case = export(make, inputs)
    plain, _ = case.quantize(PtqW8A8(), "plain")
    assert case.agreement(plain) < WANTED

    out, chosen = case.quantize(PtqW8A8(fallback="float", fallback_agreement=WANTED))
    assert sorted(chosen["kept_float"]) == sensitive
    assert sorted(list(chosen["sensitivity"])[: len(sensitive)]) == sensitive
    assert case.agreement(out) == chosen["reached"]["agreement"] >= WANTED
    assert plain.stat().st_size < out.stat().st_size < case.parent.stat().st_size


def test_an_outlier_channel_fits_sixteen_bits(export: Callable[..., Case]) -> None:
    case = export(outlier_channel, INPUTS)
    out, chosen = case.quantize(PtqW8A8(fallback="int16", fallback_agreement=WANTED))
    assert sorted(chosen["kept_int16"]) == ["0", "2"]
    assert case.agreement(out) >= WANTED


def test_weights_that_eight_bits_ruin_are_ruined_at_sixteen_bit_activations_too(export: Callable[..., Case]) -> None:
    case = export(ruined_weights, INPUTS)
    with pytest.raises(ExportError, match="with all 4 layers kept out of quantization") as refused:
        case.quantize(PtqW8A8(fallback="int16", fallback_agreement=WANTED))
    assert refused.value.where == str(case.parent)


def test_nothing_is_kept_where_plain_quantization_agrees(export: Callable[..., Case]) -> None:
    case = export(dense, INPUTS)
    plain, _ = case.quantize(PtqW8A8(), "plain")
    out, chosen = case.quantize(PtqW8A8(fallback="float", fallback_agreement=0.8))
    assert chosen["kept_float"] == []
    assert chosen["held_back_samples"] == 60
    assert out.read_bytes() == plain.read_bytes()


def test_auto_and_fallback_go_together(export: Callable[..., Case]) -> None:
    case = export(ruined_weights, INPUTS)
    out, chosen = case.quantize(PtqW8A8(calibration="auto", fallback="float", fallback_agreement=WANTED))
    assert chosen["calibration"] in chosen["errors"]
    assert chosen["kept_float"] == ["2"]
    again, _ = case.quantize(PtqW8A8(calibration=chosen["calibration"], fallback="float", fallback_agreement=WANTED), "again")
    assert out.read_bytes() == again.read_bytes()


def test_a_mixed_file_has_integers_at_its_ends_where_the_runtime_wants_them(tmp_path: Path) -> None:
    """Also where the layer in float is the last one; the kept layer's weights are float in the file, the others int8."""
    model = dense()
    with torch.no_grad():
        model[4].weight[7], model[4].bias[7] = 0.0, -1.0
        model[6].weight[:, 7] = 1e3
    runtime, file = TFLiteMicro(), tmp_path / "float.tflite"
    runtime.export(model.eval(), INPUTS[:1], file, runtime.Options())
    out, chosen = Case(runtime, file, INPUTS, tmp_path).quantize(PtqW8A8(fallback="float", fallback_agreement=WANTED))
    assert chosen["kept_float"] == ["6"]
    signature = runtime.inspect(out)
    assert {spec.dtype for spec in (*signature.inputs, *signature.outputs)} == {"int8"}
    assert [node.stored for node in tflite_graph.nodes(out) if node.weight] == ["INT8", "INT8", "INT8", "FLOAT32"]


def test_a_file_of_which_nothing_would_stay_quantized_is_refused(tmp_path: Path) -> None:
    """One layer, and it is the sensitive one."""
    model = nn.Linear(16, 4)
    with torch.no_grad():
        model.weight[:, 3] = 1e4
    inputs = INPUTS.copy()
    inputs[:, 3] = 0.0
    for runtime in (OnnxRuntime(), LiteRT()):
        file = tmp_path / f"float{runtime.suffix}"
        runtime.export(model.eval(), inputs[:1], file, runtime.Options())
        with pytest.raises(ExportError, match="only with all layers in float"):
            Case(runtime, file, inputs, tmp_path).quantize(PtqW8A8(fallback="float", fallback_agreement=WANTED))


def test_the_reference_runtime_has_no_layer_to_keep(tmp_path: Path) -> None:
    model = nn.Linear(16, 4)
    with torch.no_grad():
        model.weight[:, 3] = 1e4
    inputs = INPUTS.copy()
    inputs[:, 3] = 0.0
    runtime, file = NullRuntime(), tmp_path / "float.npz"
    runtime.export(model.eval(), inputs[:1], file, runtime.Options())
    case = Case(runtime, file, inputs, tmp_path)
    with pytest.raises(ExportError, match="with all 0 layers"):
        case.quantize(PtqW8A8(fallback="float", fallback_agreement=WANTED))


def test_a_choice_needs_samples_held_back(tmp_path: Path) -> None:
    runtime, file = NullRuntime(), tmp_path / "float.npz"
    runtime.export(nn.Linear(16, 4).eval(), INPUTS[:1], file, runtime.Options())
    with pytest.raises(ExportError, match="held-back calibration samples, and there are none"):
        runtime.passes[PtqW8A8](PassRequest(file, tmp_path / "out.npz", INPUTS, PtqW8A8(calibration="auto")))


def test_sixteen_bits_as_a_fallback_from_sixteen_bits_are_refused() -> None:
    with pytest.raises(ValidationError, match="changes nothing"):
        PtqW8A16(fallback="int16")


def test_operators_without_weights_follow_the_layer_before_them() -> None:
    operators = [
        Operator("conv1", ("x",), ("a",)),
        Operator("relu", ("a",), ("b",)),
        Operator("conv2", ("b",), ("c",)),
        Operator("add", ("b", "c"), ("d",)),
        Operator("pool", ("d",), ("e",)),
        Operator("linear", ("e",), ("f",)),
        Operator("softmax", ("f",), ("y",)),
    ]
    layers = {"conv1": "stem", "conv2": "body", "linear": "head"}
    assert with_followers([], layers, operators) == set()
    assert with_followers(["stem"], layers, operators) == {"conv1", "relu", "add", "pool"}
    assert with_followers(["body"], layers, operators) == {"conv2", "add", "pool"}
    assert with_followers(["head"], layers, operators) == {"linear", "softmax"}


@pytest.mark.usefixtures("in_this_process")
def test_the_manifest_says_what_was_chosen(tmp_path: Path) -> None:
    """A whole export."""
    patterns = three_classes(tmp_path / "patterns", (8, 6, 3))
    folder = tmp_path / "data"
    shutil.copytree(patterns.path, folder)
    for array in ("x", "y", "origin"):
        np.save(folder / f"calibration_{array}.npy", np.concatenate([np.load(folder / f"calibration_{array}.npy")] * 2))
    data = Dataset.seal(
        folder, patterns.card.model_copy(update={"counts": patterns.card.counts | {"calibration": 2 * SAMPLES}})
    )
    weights = tmp_path / "candidate"
    weights.mkdir()
    model = ModelSpec(architecture="mlp", options={"hidden": []}, training=Training(epochs=2))
    facts = plugins.create("frameworks", "pytorch").train(model, data, 0, "top1", weights, tmp_path / "checkpoints")
    exported = export_model(Candidate.seal(weights, facts), data, "null", {}, tmp_path / "float")
    rung = Rung(passes=(PtqW8A8(calibration="auto", fallback="float", fallback_agreement=0.8),))
    artifact = apply_pass(exported, data, "null", rung, tmp_path / "int8")

    manifest = Artifact.open(artifact.path).facts.quantization["ptq_w8a8.auto.fallback"]
    assert manifest["calibration"] in {"minmax", "entropy", "percentile"}
    assert manifest["errors"].keys() == {"minmax", "entropy", "percentile"}
    assert manifest["kept_float"] == []
    assert manifest["reached"]["agreement"] >= 0.8
    assert (manifest["calibration_samples"], manifest["held_back_samples"]) == (64, 32)
