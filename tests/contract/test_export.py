# SPDX-License-Identifier: Apache-2.0
"""From a trained candidate to artifacts, with every shipped runtime, each toolkit in a process of its own."""

import shutil
from pathlib import Path

import numpy as np
import pytest

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
    "network": ModelSpec(architecture="ds_cnn", options={"width": 48, "blocks": 2}, training=Training(epochs=2)),
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


@pytest.mark.parametrize(("runtime", "layout"), [("onnxruntime", "NCHW"), ("tflite_micro", "NHWC"), ("executorch", "NCHW")])
def test_a_candidate_becomes_a_float_and_an_int8_artifact(
    runtime: str, layout: str, network: Candidate, data: Dataset, tmp_path: Path
) -> None:
    exported = export_model(network, data, runtime, {}, tmp_path / "float")
    quantized = apply_pass(exported, data, runtime, INT8, tmp_path / "int8", network)

    for artifact in (exported, quantized):
        reopened = Artifact.open(artifact.path)
        assert reopened.digest == artifact.digest
        assert artifact.facts.size_bytes == artifact.main_file.stat().st_size
        assert artifact.facts.labels == ("a", "b", "c")
        assert artifact.facts.inputs[0].layout == layout
        assert artifact.facts.preprocessing == data.card.preprocessing
    assert (exported.facts.recipe, exported.facts.parent) == ("float32", network.digest)
    assert (quantized.facts.recipe, quantized.facts.parent) == ("ptq_w8a8", exported.digest)
    assert {"torch"} < exported.facts.toolchain.keys() <= quantized.facts.toolchain.keys()
    assert quantized.facts.quantization["ptq_w8a8"]["calibration_samples"] == 16
    assert quantized.facts.outputs[0].lsb is not None
    assert quantized.facts.size_bytes < exported.facts.size_bytes
    # paths of classes are no use on a device, and were half of a small file
    assert not any(b"litert_torch" in artifact.main_file.read_bytes() for artifact in (exported, quantized))


def test_the_same_input_gives_the_same_artifact_in_another_process(affine: Candidate, data: Dataset, tmp_path: Path) -> None:
    exported = export_model(affine, data, "onnxruntime", {}, tmp_path / "float")
    first, second = (apply_pass(exported, data, "onnxruntime", INT8, tmp_path / name) for name in ("first", "second"))
    assert first.digest == second.digest


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


def test_a_pass_the_runtime_cannot_execute_is_refused(affine: Candidate, data: Dataset, tmp_path: Path) -> None:
    exported = export_model(affine, data, "null", {}, tmp_path / "float")
    with pytest.raises(ExportError, match="tflite_micro cannot execute fp16") as caught:
        apply_pass(exported, data, "tflite_micro", Rung(passes=(Float16(),)), tmp_path / "out")
    assert "ptq_w8a8" in caught.value.to_do


def test_an_unknown_option_is_refused_before_anything_runs(affine: Candidate, data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="opset"):
        export_model(affine, data, "onnxruntime", {"opset": 12}, tmp_path / "out")
