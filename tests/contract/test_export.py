# SPDX-License-Identifier: Apache-2.0
"""From a trained candidate to artifacts, each toolkit in a process of its own."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from artifact_pairs import assert_whole

from edgewright import plugins
from edgewright.artifact import Artifact, Candidate
from edgewright.config.file_passes import Float16, PtqW8A8
from edgewright.config.model import ModelSpec, Training
from edgewright.config.recipe import Rung
from edgewright.data.dataset import Dataset
from edgewright.errors import ConfigError, ExportError
from edgewright.export import apply_pass, export_model
from edgewright.testing.patterns import SAMPLES, three_classes

INT8 = Rung(passes=(PtqW8A8(samples=16),))
MODELS = {
    "affine": ModelSpec(architecture="mlp", options={"hidden": []}, training=Training(epochs=2)),
    "network": ModelSpec(architecture="ds_cnn", options={"width": 48, "blocks": 1}, training=Training(epochs=2)),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return three_classes(tmp_path_factory.mktemp("data") / "data", (8, 6, 3))


def trained(kind: str, data: Dataset, folder: Path) -> Candidate:
    weights = folder / "candidate"
    weights.mkdir()
    facts = plugins.create("frameworks", "pytorch").train(MODELS[kind], data, 0, "top1", weights, folder / "checkpoints")
    return Candidate.seal(weights, facts)


@pytest.fixture(scope="module")
def affine(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    return trained("affine", data, tmp_path_factory.mktemp("affine"))


@pytest.fixture(scope="module")
def network(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    return trained("network", data, tmp_path_factory.mktemp("network"))


Pair = tuple[Artifact, Artifact]


@pytest.fixture(scope="module")
def made(network: Candidate, data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pair]:
    """The network's float artifact and its int8 artifact of a runtime, made once."""

    @cache
    def of(runtime: str) -> Pair:
        folder = tmp_path_factory.mktemp(runtime)
        exported = export_model(network, data, runtime, {}, folder / "float")
        return exported, apply_pass(exported, data, runtime, INT8, folder / "int8", network)

    return of


@pytest.mark.parametrize(("runtime", "layout"), [("onnxruntime", "NCHW"), ("tflite_micro", "NHWC")])
def test_a_candidate_becomes_a_float_and_an_int8_artifact(
    runtime: str, layout: str, made: Callable[[str], Pair], network: Candidate, data: Dataset
) -> None:
    """ExecuTorch has a test of it in test_executorch.py."""
    assert data.card.labels == ("a", "b", "c")
    assert_whole(*made(runtime), network, data, layout)


def test_the_same_input_gives_the_same_artifact_in_another_process(
    made: Callable[[str], Pair], network: Candidate, data: Dataset, tmp_path: Path
) -> None:
    exported, first = made("onnxruntime")
    second = apply_pass(exported, data, "onnxruntime", INT8, tmp_path / "second", network)
    assert first.digest == second.digest


@pytest.mark.usefixtures("in_this_process")
def test_calibration_samples_are_spread_over_the_split(affine: Candidate, data: Dataset, tmp_path: Path) -> None:
    """A split that is sorted by class must not be calibrated on its first class alone."""
    folder = tmp_path / "sorted"
    shutil.copytree(data.path, folder)
    stored = np.zeros((SAMPLES, 8, 6, 3), np.float32)
    stored[-1] = 7.0
    np.save(folder / "calibration_x.npy", stored)
    exported = export_model(affine, data, "null", {}, tmp_path / "float")
    quantized = apply_pass(exported, Dataset.seal(folder, data.card), "null", INT8, tmp_path / "int8")
    scale = quantized.facts.inputs[0].scale
    assert scale == pytest.approx(7.0 / 255)


def test_a_model_the_runtime_cannot_export_is_refused(network: Candidate, data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="affine models alone"):
        export_model(network, data, "null", {}, tmp_path / "out")


@pytest.mark.usefixtures("in_this_process")
def test_a_pass_the_runtime_cannot_execute_is_refused(affine: Candidate, data: Dataset, tmp_path: Path) -> None:
    exported = export_model(affine, data, "null", {}, tmp_path / "float")
    with pytest.raises(ExportError, match="tflite_micro cannot execute fp16") as caught:
        apply_pass(exported, data, "tflite_micro", Rung(passes=(Float16(),)), tmp_path / "out")
    assert "ptq_w8a8" in caught.value.to_do


def test_an_unknown_option_is_refused_before_anything_runs(affine: Candidate, data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="opset"):
        export_model(affine, data, "onnxruntime", {"opset": 12}, tmp_path / "out")
