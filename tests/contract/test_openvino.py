# SPDX-License-Identifier: Apache-2.0
"""OpenVINO: what its precision, its two files and NNCF's quantizers do, on top of the contract."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from model_passes import performed, trained
from openvino_files import INPUTS, RUNTIME, answers, convert, convolutional, dense, export
from small_datasets import digits
from torch import nn

from edgewright.artifact import Artifact, Candidate
from edgewright.config.file_passes import Float16, PtqW8A8
from edgewright.config.model_passes import QatW8A8
from edgewright.config.recipe import Rung
from edgewright.data.dataset import Dataset
from edgewright.errors import ExportError, StoreError
from edgewright.export import apply_pass, export_model
from edgewright.foreign import describe
from edgewright.integrations.frameworks.keras import Keras
from edgewright.integrations.frameworks.keras.engine import keras
from edgewright.integrations.runtimes.openvino import OpenVINO, graph, session
from edgewright.integrations.runtimes.openvino.session import read
from edgewright.testing import RuntimeContract

HINT = "INFERENCE_PRECISION_HINT"


class TestOpenVINO(RuntimeContract):
    runtime = OpenVINO
    quantizes_outputs = False


def fastest(file: Path) -> str:
    """The precision OpenVINO takes by itself on this processor: bf16 with AVX512_BF16 or AMX, f16 on newer ARM, else f32."""
    import openvino

    return str(openvino.Core().compile_model(read(file), "CPU").get_property(HINT).get_type_name())


def test_float_files_compute_in_float32_whatever_the_processor_prefers(tmp_path: Path) -> None:
    loaded = RUNTIME.load(export(dense(), INPUTS, tmp_path), 1)
    executed = loaded._request.get_compiled_model().get_runtime_model().get_ordered_ops()
    assert {node.get_rt_info()["runtimePrecision"].astype(str) for node in executed} <= {"f32", "i32", "i64", "dynamic"}


def test_openvino_left_to_itself_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded fault: no hint. Where the processor has a faster precision the file is refused, and parity would show it."""
    import openvino

    file = export(dense(), INPUTS, tmp_path)
    with torch.no_grad():
        wanted = dense()(torch.from_numpy(INPUTS)).numpy()
    hinted = np.abs(answers(file, INPUTS) - wanted).max() / np.ptp(wanted)
    silent = openvino.Core().compile_model(read(file), "CPU")
    unhinted = np.abs(np.concatenate([silent(one[None])[0] for one in INPUTS]) - wanted).max() / np.ptp(wanted)
    settings = session._settings
    monkeypatch.setattr(session, "_settings", lambda *given: {key: one for key, one in settings(*given).items() if key != HINT})
    assert hinted < 1e-5
    if (taken := fastest(file)) == "f32":
        assert unhinted < 1e-5
        RUNTIME.load(file, 1)
    else:
        assert unhinted > 1e-4  # the contract's limit for a float file
        with pytest.raises(ExportError, match=f"computes in {taken} here, and the file asks for f32"):
            RUNTIME.load(file, 1)


@pytest.mark.parametrize("precision", ["bf16", "f16"])
def test_another_precision_is_taken_where_the_processor_has_it_and_refused_elsewhere(precision: str, tmp_path: Path) -> None:
    """The choice is in the file, and in those that are made of it."""
    file = export(dense(), INPUTS, tmp_path, inference_precision=precision)
    made, _ = convert(Float16(), file, INPUTS[:0])
    for each in (file, made):
        if fastest(each) == precision:
            assert RUNTIME.load(each, 1)._request.get_compiled_model().get_property(HINT).get_type_name() == precision
        else:
            with pytest.raises(ExportError, match=f"the file asks for {precision}"):
                RUNTIME.load(each, 1)


def test_nothing_is_there_that_reports_home(tmp_path: Path) -> None:
    export(dense(), INPUTS, tmp_path)
    assert sys.modules["openvino_telemetry"] is None
    with pytest.raises(ImportError):
        import openvino_telemetry  # noqa: F401


def test_layers_have_the_names_of_the_model(tmp_path: Path) -> None:
    """Also where a normalization is folded in."""
    images = np.ones((1, 3, 8, 8), np.float32)
    file = export(convolutional(), images, tmp_path)
    assert list(graph.layers(read(file))) == ["0", "3", "7"]
    spec = RUNTIME.inspect(file)
    assert (spec.inputs[0].layout, spec.inputs[0].name, spec.outputs[0].name) == ("NCHW", "input", "output")


def test_an_operator_the_converter_does_not_know_is_named(tmp_path: Path) -> None:
    class Gamma(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.lgamma(inputs)

    with pytest.raises(ExportError, match="lgamma"):
        export(Gamma(), INPUTS, tmp_path)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return digits(tmp_path_factory.mktemp("digits") / "d", 400)


@pytest.fixture(scope="module")
def keras_baseline(images: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    return trained("ds_cnn", images, tmp_path_factory.mktemp("k") / "b", {"width": 8, "blocks": 1}, "keras", epochs=3)


def test_the_artifact_is_both_files(
    keras_baseline: Candidate, images: Dataset, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A Keras model through the pipeline's own steps: sizes and digests are of both files, and so is a bare file's copy."""
    exported = export_model(keras_baseline, images, "openvino", {}, tmp_path / "float")
    request.getfixturevalue("in_this_process")
    int8 = apply_pass(exported, images, "openvino", Rung(passes=(PtqW8A8(),)), tmp_path / "int8")
    for artifact in (exported, int8):
        assert set(artifact.files) == {"model.xml", "model.bin"}
        assert artifact.facts.size_bytes == sum((artifact.path / name).stat().st_size for name in artifact.files)
    model, inputs = Keras().load(keras_baseline), images.inputs("test", "NHWC")
    assert exported.facts.inputs[0].layout == "NHWC"
    wanted = Keras().predict(model, inputs)
    np.testing.assert_allclose(answers(exported.main_file, inputs), wanted, atol=1e-4 * np.ptp(wanted))
    assert (answers(int8.main_file, inputs).argmax(1) == wanted.argmax(1)).mean() > 0.95

    (tmp_path / "bare").mkdir()
    bare = describe(int8.main_file, "openvino", images, tmp_path / "bare")
    assert bare.facts.size_bytes == int8.facts.size_bytes
    np.testing.assert_array_equal(answers(bare.main_file, inputs[:4]), answers(int8.main_file, inputs[:4]))

    weights = bytearray((int8.path / "model.bin").read_bytes())
    weights[0] ^= 1
    (int8.path / "model.bin").write_bytes(weights)
    with pytest.raises(StoreError, match=r"'model\.bin' was changed"):
        Artifact.open(int8.path)
    (int8.path / "model.bin").unlink()
    with pytest.raises(ExportError, match="not a readable OpenVINO file") as refused:
        RUNTIME.inspect(int8.main_file)
    assert "model.bin beside it" in refused.value.to_do


def test_keras_models_trained_with_their_quantization_keep_their_scales(
    keras_baseline: Candidate, images: Dataset, tmp_path: Path
) -> None:
    quantized = performed(QatW8A8(epochs=1), keras_baseline, keras_baseline, images, tmp_path / "q")
    model, inputs, file = Keras().load(quantized), images.inputs("test", "NHWC"), tmp_path / "q.xml"
    RUNTIME.export_quantized(model, inputs[:1], file, RUNTIME.Options())
    step = RUNTIME.inspect(file).outputs[0].lsb
    assert step is not None
    wanted = Keras().predict(model, inputs)
    # tfmot simulates rounding in float, and a sum may fall on the other side of a half: one step more than torch's graph
    assert np.abs(answers(file, inputs) - wanted).max() <= 3.01 * step
    assert (answers(file, inputs).argmax(1) == wanted.argmax(1)).mean() >= 0.98


def test_a_layer_left_in_float_is_named(tmp_path: Path) -> None:
    """A Keras model without simulated quantization in it."""
    model = keras.Sequential([keras.layers.Input((8,)), keras.layers.Dense(4, name="head")])
    with pytest.raises(ExportError, match="MatMul is left in float") as refused:
        RUNTIME.export_quantized(model, np.ones((1, 8), np.float32), tmp_path / "q.xml", RUNTIME.Options())
    assert "head" in refused.value.where
