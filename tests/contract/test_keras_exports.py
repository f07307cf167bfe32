# SPDX-License-Identifier: Apache-2.0
"""Keras models as files: LiteRT, TFLite Micro and ONNX answer as the model does, compressed by tfmot's passes or not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_passes import performed, trained
from small_datasets import digits

from edgewright.artifact import Candidate
from edgewright.config import ModelSpec
from edgewright.config.file_passes import PtqW8A8
from edgewright.config.model_passes import Cluster, Distill, QatW8A8, Sparsify
from edgewright.data.dataset import Dataset
from edgewright.errors import ExportError, ModelError
from edgewright.export import export_model
from edgewright.framework import Array
from edgewright.integrations.frameworks.keras import Keras
from edgewright.integrations.frameworks.keras.build import build
from edgewright.integrations.frameworks.keras.engine import keras
from edgewright.integrations.frameworks.keras.passes import cluster, qat, sparsify
from edgewright.integrations.frameworks.keras.structure import count_macs, kernels, share_of_zeros
from edgewright.metrics import metric
from edgewright.onboard.preprocess import to_layout
from edgewright.plugins import create
from edgewright.runtime import PassRequest, dequantize_output, quantize_input

RUNTIMES = ["litert", "onnxruntime", "tflite_micro"]
LAYOUTS = {"litert": "NHWC", "tflite_micro": "NHWC", "onnxruntime": "NCHW"}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return digits(tmp_path_factory.mktemp("digits") / "d", 400)


@pytest.fixture(scope="module")
def baseline(images: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    return trained("resnet8", images, tmp_path_factory.mktemp("resnet8") / "b", {"width": 8}, "keras", epochs=3)


@pytest.fixture(scope="module")
def depthwise(images: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    options = {"width": 16, "blocks": 2}
    return trained("ds_cnn", images, tmp_path_factory.mktemp("ds_cnn") / "b", options, "keras", epochs=6)


@pytest.fixture(scope="module")
def sparse(images: Dataset, depthwise: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    folder = tmp_path_factory.mktemp("sparse") / "s"
    return performed(Sparsify(ratio=0.4, epochs=3), depthwise, depthwise, images, folder)


@pytest.fixture(scope="module")
def quantized(images: Dataset, baseline: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    folder = tmp_path_factory.mktemp("quantized") / "q"
    return performed(QatW8A8(epochs=1), baseline, baseline, images, folder)


@pytest.fixture(scope="module")
def simulated(quantized: Candidate) -> Any:
    return Keras().load(quantized)


def exported(model: Any, runtime: str, inputs: Array, folder: Path, *, quantized: bool = False) -> Path:
    """Write a model as the runtime's float file, or as one of integers."""
    writer = create("runtimes", runtime)
    file: Path = folder / f"{runtime}-{quantized}{writer.suffix}"
    write = writer.export_quantized if quantized else writer.export
    write(model, np.zeros_like(inputs[:1]), file, writer.Options())
    return file


def answers(runtime: str, file: Path, inputs: Array) -> Array:
    """What the file answers to inputs with channels last."""
    executing = create("runtimes", runtime)
    signature, session = executing.inspect(file), executing.load(file, 1)
    have, want = ("NHWC" if inputs.ndim == 4 else "NLC" if inputs.ndim == 3 else "NF"), signature.inputs[0].layout
    ready = quantize_input(to_layout(inputs, have, want), signature.inputs[0])
    return dequantize_output(np.concatenate([session.run(one[None]) for one in ready]), signature.outputs[0])


def assert_alike(got: Array, wanted: Array) -> None:
    np.testing.assert_allclose(got, wanted, atol=1e-4 * np.ptp(wanted))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_float_file_answers_as_the_model_does_and_its_int8_form_nearly(
    runtime: str, baseline: Candidate, images: Dataset, tmp_path: Path
) -> None:
    model, inputs = Keras().load(baseline), images.inputs("test", "NHWC")
    wanted = Keras().predict(model, inputs)
    file = exported(model, runtime, inputs, tmp_path)
    executing = create("runtimes", runtime)
    declared = executing.inspect(file).inputs[0]
    assert (declared.layout, declared.shape[0], declared.dtype) == (LAYOUTS[runtime], 1, "float32")
    assert_alike(answers(runtime, file, inputs), wanted)

    calibration = to_layout(images.inputs("calibration", "NHWC"), "NHWC", declared.layout)
    out = tmp_path / f"int8{executing.suffix}"
    executing.passes[PtqW8A8](PassRequest(file, out, calibration, PtqW8A8()))
    assert out.stat().st_size < 0.7 * file.stat().st_size
    agreement = (answers(runtime, out, inputs).argmax(1) == wanted.argmax(1)).mean()
    assert agreement > 0.95


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_quantization_aware_training_is_exported_with_its_own_scales(
    runtime: str, simulated: Any, images: Dataset, tmp_path: Path
) -> None:
    inputs = images.inputs("test", "NHWC")
    file = exported(simulated, runtime, inputs, tmp_path, quantized=True)
    signature = create("runtimes", runtime).inspect(file)
    if runtime != "onnxruntime":
        assert {spec.dtype for spec in (*signature.inputs, *signature.outputs)} == {"int8"}
    step = signature.outputs[0].lsb
    assert step is not None
    apart = np.abs(answers(runtime, file, inputs) - Keras().predict(simulated, inputs)).max()
    assert apart < 2.1 * step


@pytest.mark.usefixtures("in_this_process")
def test_an_artifact_says_how_it_was_quantized(images: Dataset, tmp_path: Path) -> None:
    small = trained("mlp", images, tmp_path / "b", {"hidden": [8]}, "keras", epochs=1)
    quantized = performed(QatW8A8(epochs=1), small, small, images, tmp_path / "q")
    artifact = export_model(quantized, images, "litert", {}, tmp_path / "artifact")
    assert artifact.facts.recipe == "qat_w8a8"
    assert artifact.facts.inputs[0].dtype == "int8"
    assert "qat_w8a8" in artifact.facts.quantization
    assert {"tensorflow", "tf_keras", "tensorflow-model-optimization"} <= artifact.facts.toolchain.keys()


def test_quantization_aware_training_keeps_what_the_model_knows(quantized: Candidate, images: Dataset, tmp_path: Path) -> None:
    before, after = quantized.facts.passes[-1].score
    assert after > before - 0.1
    assert quantized.facts.quantized
    assert quantized.facts.parameters == quantized.facts.passes[-1].parameters[0]


def test_ranges_start_where_the_calibration_data_has_them(baseline: Candidate, images: Dataset) -> None:
    inputs, labels = images.inputs("validation", "NHWC"), images.labels("validation")
    model = Keras().load(baseline)
    simulated = qat.simulate(model)
    untouched = metric("top1").score(labels, Keras().predict(simulated, inputs))
    qat.calibrate(simulated, images.inputs("calibration", "NHWC"))
    calibrated = metric("top1").score(labels, Keras().predict(simulated, inputs))
    wanted = metric("top1").score(labels, Keras().predict(model, inputs))
    assert untouched < 0.5
    assert calibrated > wanted - 0.05


def test_sparsity_is_achieved_over_all_layers_and_stays(
    sparse: Candidate, depthwise: Candidate, images: Dataset, tmp_path: Path
) -> None:
    done = sparse.facts.passes[-1]
    assert done.achieved == pytest.approx(0.4, abs=0.01)
    assert done.score[1] > 0.5  # chance is 0.1
    zeros = [kernel.numpy() == 0 for kernel in kernels(Keras().load(sparse))]
    assert share_of_zeros(Keras().load(sparse)) == done.achieved
    for step in (QatW8A8(epochs=1), Distill(epochs=1), Cluster(clusters=16, epochs=1)):
        again = performed(step, sparse, depthwise, images, tmp_path / step.name)
        assert again.facts.recipe == f"sparsify40-{step.name}"
        kept = [kernel.numpy() == 0 for kernel in kernels(Keras().load(again))]
        assert all((after | ~before).all() for before, after in zip(zeros, kept, strict=True))


def test_a_share_that_the_layers_cannot_reach_is_refused(depthwise: Candidate) -> None:
    with pytest.raises(ModelError, match="cannot prune DepthwiseConv2D"):
        sparsify.layer_share(Keras().load(depthwise), Sparsify(ratio=0.9))


def test_so_many_of_each_run_of_weights_stay(depthwise: Candidate, images: Dataset, tmp_path: Path) -> None:
    candidate = performed(Sparsify(pattern="1of4", epochs=1), depthwise, depthwise, images, tmp_path / "s")
    pointwise = next(one for one in kernels(Keras().load(candidate)) if one.shape == (1, 1, 16, 16)).numpy()
    runs = pointwise.reshape(16, 16).T.reshape(-1, 4)  # tfmot: along the inputs of each output channel
    assert ((runs != 0).sum(axis=1) <= 1).all()


def test_weights_share_as_few_values_as_asked(depthwise: Candidate, images: Dataset, tmp_path: Path) -> None:
    shared = performed(Cluster(clusters=8, epochs=1), depthwise, depthwise, images, tmp_path / "c")
    model = Keras().load(shared)
    assert max(len(np.unique(kernel.numpy())) for kernel in kernels(model)) <= 8
    before, after = shared.facts.passes[-1].score
    assert after > before - 0.3
    inputs = images.inputs("test", "NHWC")
    assert_alike(answers("litert", exported(model, "litert", inputs, tmp_path), inputs), Keras().predict(model, inputs))


def test_zeros_stay_a_value_of_their_own() -> None:
    weights = np.array([0, 0, 0.9, 1, 1.1, -2], np.float32).reshape(2, 3)
    np.testing.assert_allclose(cluster.shared_values(weights, 3, 0), [[0, 0, 1], [1, 1, -2]], rtol=1e-6)
    assert len(np.unique(cluster.shared_values(weights, 2, 0))) == 2


def test_a_student_learns_from_the_teacher(baseline: Candidate, images: Dataset, tmp_path: Path) -> None:
    step = Distill(student="mlp", options={"hidden": [16]}, epochs=8)
    student = performed(step, baseline, baseline, images, tmp_path / "s")
    assert student.facts.model.architecture == "mlp"
    assert student.facts.parameters < 0.2 * baseline.facts.parameters
    assert student.facts.passes[-1].score[1] > 0.6  # chance is 0.1
    inputs = images.inputs("test", "NHWC")
    model = Keras().load(student)
    assert_alike(
        answers("onnxruntime", exported(model, "onnxruntime", inputs, tmp_path), inputs), Keras().predict(model, inputs)
    )


def test_a_pass_resumes_with_the_weights_it_would_have_had(depthwise: Candidate, images: Dataset, tmp_path: Path) -> None:
    step = Sparsify(ratio=0.3, epochs=2)
    whole = performed(step, depthwise, depthwise, images, tmp_path / "whole")
    newest = max((tmp_path / "whole" / "checkpoints").glob("*.npz"))
    newest.unlink()  # as if it had ended after its first epoch
    (tmp_path / "again").mkdir()
    (tmp_path / "whole" / "checkpoints").rename(tmp_path / "again" / "checkpoints")
    resumed = performed_into(step, depthwise, images, tmp_path / "again")
    assert resumed.digest == whole.digest


def performed_into(step: Any, candidate: Candidate, images: Dataset, folder: Path) -> Candidate:
    from edgewright.framework import ModelPassRequest

    (folder / "weights").mkdir()
    request = ModelPassRequest(candidate, candidate, images, step, "top1", 0, folder / "weights", folder / "checkpoints")
    return Candidate.seal(folder / "weights", Keras().passes[type(step)](request))


def many_layers() -> Any:
    layers, inputs = keras.layers, keras.Input((9, 7, 3))
    x = layers.SeparableConv2D(6, 3, padding="same", strides=2, activation="relu6")(inputs)
    x = layers.BatchNormalization()(layers.AveragePooling2D(2, padding="same")(x))
    gate = layers.Conv2D(6, 3, padding="same", activation="sigmoid")(x)
    x = layers.LeakyReLU()(layers.Multiply()([x, gate]))
    x = layers.Subtract()([x, layers.DepthwiseConv2D(3, padding="same", depth_multiplier=1)(x)])
    padded = layers.ZeroPadding2D(((0, 1), (1, 0)))(x)
    flat = layers.Reshape((-1,))(padded)
    joined = layers.Concatenate()([layers.GlobalMaxPooling2D()(x), flat, layers.GlobalAveragePooling2D()(gate)])
    return keras.Model(inputs, layers.Softmax()(layers.Dense(4)(layers.Dense(8, "elu")(joined))))


def series() -> Any:
    layers, inputs = keras.layers, keras.Input((24, 3))
    x = layers.BatchNormalization()(layers.Conv1D(6, 5, padding="same", strides=2, activation="relu")(inputs))
    x = layers.MaxPooling1D(2)(x)
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x)))


def nested() -> Any:
    layers = keras.layers
    inner = keras.Sequential([keras.Input((6, 6, 2)), layers.Conv2D(4, 3, activation="tanh"), layers.BatchNormalization()])
    inputs = keras.Input((6, 6, 2))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(inner(inputs))))


def images_out() -> Any:
    return build(ModelSpec(framework="keras", architecture="mlp", options={"hidden": [6]}), (4, 3, 2), 0)


def of_keras3() -> Any:
    import keras as keras3

    layers, inputs = keras3.layers, keras3.Input((9, 7, 3))
    x = layers.Conv2D(8, 3, padding="same", strides=2, use_bias=False)(inputs)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    y = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(x))
    x = layers.MaxPooling2D(2)(layers.Dropout(0.3)(layers.Concatenate()([x, y])))
    return keras3.Model(inputs, layers.Dense(4)(layers.Flatten()(x)))


@pytest.mark.parametrize("make", [many_layers, series, nested, images_out, of_keras3])
@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_layers_of_many_kinds_are_exported(make: Any, runtime: str, tmp_path: Path) -> None:
    model, rng = make(), np.random.default_rng(0)
    for variable in model.weights:  # running statistics that change something
        values = rng.uniform(0.2, 0.8, tuple(variable.shape)) * rng.choice([-1, 1], tuple(variable.shape))
        variable.assign(np.abs(values) if "variance" in variable.name else values)
    inputs = rng.normal(size=(5, *model.input_shape[1:])).astype(np.float32)
    wanted = model(inputs, training=False).numpy()
    got = answers(runtime, exported(model, runtime, inputs, tmp_path), inputs)
    if runtime == "onnxruntime" and wanted.ndim > 2:
        wanted = np.moveaxis(wanted, -1, 1)
    assert_alike(got, wanted)


def test_an_operator_that_onnx_does_not_get_is_named_with_its_layer(tmp_path: Path) -> None:
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, keras.layers.UpSampling2D(name="enlarge")(inputs))
    with pytest.raises(ExportError, match=r"operator ResizeNearestNeighbor of layer '.*enlarge"):
        exported(model, "onnxruntime", np.zeros((1, 8, 8, 1), np.float32), tmp_path)


def test_multiply_accumulates_are_counted() -> None:
    inputs = keras.Input((8, 8, 2))
    x = keras.layers.DepthwiseConv2D(3, padding="same")(keras.layers.Conv2D(4, 3, padding="same")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(5)(keras.layers.Flatten()(x)))
    assert count_macs(model, (8, 8, 2)) == 64 * 4 * 9 * 2 + 64 * 4 * 9 + 256 * 5
