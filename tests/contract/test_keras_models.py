# SPDX-License-Identifier: Apache-2.0
"""Keras models: twins of the PyTorch ones, a user's own of both generations, training that resumes, weights with care."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.numpy import load_file
from small_datasets import anomalies, digits, seal, values, windows

from edgewright.artifact import Candidate, CandidateFacts
from edgewright.cli import main
from edgewright.config import ModelSpec
from edgewright.config.model_passes import Cluster, Distill, QatW8A8, Sparsify
from edgewright.data.dataset import Dataset
from edgewright.errors import ConfigError, ModelError
from edgewright.integrations.frameworks.keras import Keras
from edgewright.integrations.frameworks.keras.build import build
from edgewright.integrations.frameworks.keras.models import ARCHITECTURES
from edgewright.integrations.frameworks.keras.structure import count_macs, count_parameters
from edgewright.integrations.frameworks.keras.weights import write_weights
from edgewright.integrations.frameworks.pytorch.build import build as build_torch
from edgewright.integrations.frameworks.pytorch.structure import count_macs as torch_macs
from edgewright.integrations.frameworks.pytorch.structure import count_parameters as torch_parameters
from edgewright.metrics import metric

OWN = """
import keras, tf_keras, tensorflow as tf

def sequential(outputs): return tf_keras.Sequential([tf_keras.layers.Flatten(), tf_keras.layers.Dense(outputs)])
def of_keras3(outputs):
    layers = keras.layers
    return keras.Sequential([layers.Flatten(), layers.Dense(16, "relu"), layers.Dropout(0.2), layers.Dense(outputs)])
def probabilities(outputs): return tf_keras.Sequential([tf_keras.layers.Flatten(), tf_keras.layers.Dense(outputs, "softmax")])
def tiny(outputs): return tf_keras.Sequential([tf_keras.layers.GlobalMaxPooling2D(), tf_keras.layers.Dense(outputs)])
def no_model(): return "model"
def failing(width=3): raise ZeroDivisionError("ouch")
def too_long(outputs): return sequential(outputs + 1)
def classes(outputs): return tf_keras.Sequential([sequential(outputs), tf_keras.layers.Lambda(lambda x: tf.cast(x, tf.int32))])
def square(outputs): return tf_keras.Sequential([tf_keras.layers.Dense(outputs)])
class Own(tf_keras.Model):
    def __init__(self, outputs):
        super().__init__()
        self.flat, self.out = tf_keras.layers.Flatten(), tf_keras.layers.Dense(outputs)
    def call(self, inputs, training=None): return self.out(self.flat(inputs))
def subclass(outputs): return Own(outputs)
"""
METRICS = """
import os, pathlib

def constant(labels, outputs): return 0.5

def deadly(labels, outputs):
    with open("epochs.txt", "a") as file:
        file.write("x")
    if pathlib.Path("epochs.txt").read_text() == "x" * int(os.environ.get("DIE_AT", 0)):
        os._exit(9)
    return float((outputs.argmax(axis=1) == labels).mean())
"""
KILLED_CHILD = """
import sys
from pathlib import Path
from edgewright.config import ModelSpec
from edgewright.data.dataset import Dataset
from edgewright.integrations.frameworks.keras import Keras
data, spec, out = sys.argv[1:]
Path(out).mkdir()
spec, data = ModelSpec.model_validate_json(spec), Dataset.open(Path(data))
Keras().train(spec, data, 3, "own_metrics:deadly", Path(out), Path("checkpoints"))
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return digits(tmp_path_factory.mktemp("digits") / "d", 300)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Modules of the user's own, in the working folder, imported anew."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("own_keras", OWN), ("own_metrics", METRICS)):
        monkeypatch.delitem(sys.modules, name, raising=False)
        Path(f"{name}.py").write_text(text)
    return "own_keras"


def spec_of(architecture: str = "mlp", options: dict[str, Any] | None = None, **training: Any) -> ModelSpec:
    short: dict[str, Any] = {"epochs": 2, "batch_size": 16, "learning_rate": 0.01}
    given = {"architecture": architecture, "options": options or {}, "training": short | training}
    return ModelSpec.model_validate({"framework": "keras", **given})


def train(spec: ModelSpec, data: Dataset, out: Path, seed: int = 0, by: str = "top1") -> CandidateFacts:
    out.mkdir()
    return Keras().train(spec, data, seed, by, out, out.parent / f"{out.name}-checkpoints")


def weights(out: Path) -> bytes:
    return (out / "weights.safetensors").read_bytes()


SAMPLES = [
    ("resnet8", (8, 8, 3)),
    ("resnet8", (5, 7, 1)),
    ("resnet20", (8, 8, 1)),
    ("ds_cnn", (12, 10, 1)),
    ("ds_resnet", (8, 8, 3)),
    ("ds_resnet", (5, 7, 1)),
    ("cnn1d", (33, 3)),
    ("mlp", (12,)),
    ("mlp", (4, 4, 1)),
]


@pytest.mark.parametrize(("architecture", "sample"), SAMPLES)
def test_twins_answer_as_their_pytorch_models_do_with_the_same_weights(architecture: str, sample: tuple[int, ...]) -> None:
    options = {"hidden": [9, 5]} if architecture == "mlp" else {"width": 4}
    first = (sample[-1], *sample[:-1])
    torch.manual_seed(1)
    theirs = build_torch(ModelSpec(architecture=architecture, options=options), first, 3).eval()
    for layer in theirs.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.uniform_(-1, 1), layer.running_var.uniform_(0.5, 2), torch.nn.init.uniform_(layer.weight)
    ours = build(ModelSpec(framework="keras", architecture=architecture, options=options), sample, 3)
    copy_weights(theirs, ours)
    inputs = np.random.default_rng(0).normal(size=(4, *sample)).astype(np.float32)
    with torch.no_grad():
        wanted = theirs(torch.from_numpy(np.ascontiguousarray(np.moveaxis(inputs, -1, 1)))).numpy()
    np.testing.assert_allclose(Keras().predict(ours, inputs), wanted, rtol=1e-4, atol=1e-5)
    assert count_parameters(ours) == torch_parameters(theirs)
    assert count_macs(ours, sample) == torch_macs(theirs, first)


def copy_weights(theirs: torch.nn.Module, ours: Any) -> None:
    """Layer by layer; the shortcut of a residual block stands last there, and where the graph joins here."""
    found = {"conv": [], "norm": [], "linear": []}  # type: ignore[var-annotated]
    for layer in theirs.modules():
        if isinstance(layer, torch.nn.Conv2d):
            kernel = layer.weight.detach().numpy()
            depthwise = layer.groups > 1
            found["conv"].append([kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))])
        elif isinstance(layer, torch.nn.BatchNorm2d):
            found["norm"].append(
                [t.detach().numpy() for t in (layer.weight, layer.bias, layer.running_mean, layer.running_var)]
            )
        elif isinstance(layer, torch.nn.Linear):
            found["linear"].append([layer.weight.detach().numpy().T, layer.bias.detach().numpy()])
    for layer in ours.layers:
        kind = {"Conv2D": "conv", "DepthwiseConv2D": "conv", "BatchNormalization": "norm", "Dense": "linear"}.get(
            type(layer).__name__
        )
        if kind:
            layer.set_weights(found[kind].pop(0))


def test_the_list_of_architectures_is_what_is_shipped() -> None:
    assert set(Keras.architectures) == set(ARCHITECTURES)


@pytest.mark.parametrize(
    ("architecture", "options", "error", "says"),
    [
        ("resnet", {}, ModelError, "did you mean 'resnet8'"),
        ("resnet8", {"widht": 8}, ModelError, "did you mean 'width'"),
        ("cnn1d", {}, ModelError, "'resnet8'"),
        ("own_keras:no_model", {}, ModelError, "returned str"),
        ("own_keras:failing", {}, ModelError, "ZeroDivisionError: ouch"),
        ("own_keras:absent", {}, ConfigError, "absent"),
        ("own_keras:too_long", {}, ModelError, r"\(1, 11\).*\(1, 10\)"),
        ("own_keras:square", {}, ModelError, "the data needs"),
        ("own_keras:classes", {}, ModelError, "returns int32"),
        ("own_keras:probabilities", {}, ModelError, "remove the softmax"),
    ],
)
def test_a_model_that_does_not_fit_is_told_why(
    own: str, architecture: str, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=f"(?s){says}"):
        Keras().check(spec_of(architecture, options), "classification", (8, 8, 1), 10)


@pytest.mark.parametrize("function", ["sequential", "of_keras3", "subclass"])
def test_a_users_own_model_learns_and_loads_again(function: str, own: str, images: Dataset, tmp_path: Path) -> None:
    facts = train(spec_of(f"{own}:{function}", epochs=6), images, tmp_path / "out")
    assert facts.history[-1].train_loss < facts.history[0].train_loss
    inputs = images.inputs("test", "NHWC")
    candidate = Candidate.seal(tmp_path / "out", facts)
    outputs = [Keras().predict(Keras().load(candidate), inputs) for _ in range(2)]
    np.testing.assert_array_equal(*outputs)
    assert metric("top1").score(images.labels("test"), outputs[0]) > 0.4  # chance is 0.1


def test_series_values_and_anomalies(tmp_path: Path) -> None:
    series = train(spec_of("cnn1d", {"width": 4}, epochs=3), windows(tmp_path / "windows"), tmp_path / "series")
    assert series.input_shape == (32, 3)
    assert max(epoch.validation_score for epoch in series.history) > 0.6  # chance is 0.33
    numbers = values(tmp_path / "values")
    facts = train(spec_of(epochs=15), numbers, tmp_path / "numbers", by="mae")
    labels = numbers.labels("validation")
    assert facts.history[-1].validation_score < 0.7 * np.abs(labels - labels.mean(axis=0)).mean()
    odd = anomalies(tmp_path / "anomalies")
    facts = train(spec_of("mlp", {"hidden": [16], "bottleneck": 2}, epochs=20), odd, tmp_path / "odd", by="auc")
    model, inputs = Keras().load(Candidate.seal(tmp_path / "odd", facts)), odd.inputs("test", "NF")
    scores = Keras().predict(model, inputs)
    assert scores.shape == (len(inputs),)
    assert metric("auc").score(odd.labels("test"), scores) > 0.75


@pytest.mark.parametrize("deterministic", [False, True])
def test_the_same_seed_gives_the_same_weights(deterministic: bool, images: Dataset, tmp_path: Path) -> None:
    spec = spec_of(options={"dropout": 0.2}, deterministic=deterministic, augmentation={"shift": 1, "noise": 0.1})
    facts = [train(spec, images, tmp_path / str(run), seed) for run, seed in enumerate((0, 0, 1))]
    assert weights(tmp_path / "0") == weights(tmp_path / "1")
    assert facts[0] == facts[1]
    assert weights(tmp_path / "0") != weights(tmp_path / "2")


@pytest.mark.parametrize("architecture", ["mlp", "own_keras:of_keras3"])
def test_a_killed_training_ends_with_the_weights_it_would_have_had(
    architecture: str, own: str, images: Dataset, tmp_path: Path
) -> None:
    options = {"dropout": 0.3} if architecture == "mlp" else {}
    spec = spec_of(architecture, options, epochs=4, schedule={"warmup_epochs": 1}, augmentation={"flip": True})
    command = [sys.executable, "-c", KILLED_CHILD, str(images.path), spec.model_dump_json(), "out"]
    child = subprocess.run(command, env=os.environ | {"DIE_AT": "4"}, capture_output=True)
    assert child.returncode == 9, child.stderr.decode()
    shutil.copytree("checkpoints", "resumed-checkpoints")
    newest = max(Path("resumed-checkpoints").glob("*.npz"))
    newest.write_bytes(newest.read_bytes()[:1000])  # the one before it is whole
    Path("epochs.txt").unlink()
    resumed = train(spec, images, tmp_path / "resumed", 3, "own_metrics:deadly")
    assert Path("epochs.txt").read_text() == "xx"
    in_one_go = train(spec, images, tmp_path / "in_one_go", 3, "own_metrics:deadly")
    assert resumed.history == in_one_go.history
    assert weights(tmp_path / "resumed") == weights(tmp_path / "in_one_go")


def test_options_of_training_do_what_they_say(own: str, images: Dataset, tmp_path: Path) -> None:
    stopped = train(spec_of(epochs=9, early_stopping=2), images, tmp_path / "stopped", by="own_metrics:constant")
    assert (len(stopped.history), stopped.best_epoch) == (3, 1)
    train(spec_of(epochs=1, schedule={"kind": "constant"}), images, tmp_path / "one")
    kept = train(spec_of(epochs=2, schedule={"kind": "constant"}), images, tmp_path / "kept", by="own_metrics:constant")
    assert kept.best_epoch == 1
    assert weights(tmp_path / "kept") == weights(tmp_path / "one")

    def absolute(name: str, **training: Any) -> float:
        train(spec_of(**training), images, tmp_path / name)
        return float(sum(np.abs(array).sum() for array in load_file(tmp_path / name / "weights.safetensors").values()))

    plain = absolute("plain", l2=0)
    assert absolute("l1", l2=0, l1=1e-2) < 0.7 * plain
    assert absolute("l2", l2=5) < 0.9 * plain
    sgd = {"optimizer": "sgd", "learning_rate": 0.05}
    assert absolute("sgd decayed", l2=0.1, **sgd) < 0.95 * absolute("sgd", l2=0, **sgd)


def test_training_that_cannot_go_on_says_why(images: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="in epoch 1") as refused:
        train(spec_of(optimizer="sgd", learning_rate=1e20), images, tmp_path / "out")
    assert "model.training.learning_rate" in refused.value.to_do
    table = seal(tmp_path / "t", "classification", "F", np.eye(40, dtype=np.float32), np.arange(40) % 2, ("a", "b"))
    with pytest.raises(ConfigError, match="cannot be shifted"):
        train(spec_of(augmentation={"shift": 1}), table, tmp_path / "table")


def test_weights_come_from_files_that_run_no_code(tmp_path: Path) -> None:
    spec = spec_of("mlp", {"hidden": [4]})
    model = build(spec, (4,), 3)
    write_weights(model, tmp_path)
    arrays = load_file(tmp_path / "weights.safetensors")
    np.savez(tmp_path / "w.npz", **arrays)
    np.savez(tmp_path / "pickled.npz", **{name: np.array([object()]) for name in arrays})
    model.save(tmp_path / "w.keras")
    model.save_weights(str(tmp_path / "w.h5"))

    def check(name: str, **more: Any) -> None:
        Keras().check(spec.model_copy(update={"weights": str(tmp_path / name), **more}), "classification", (4,), 3)

    check("weights.safetensors"), check("w.npz"), check("")  # a folder with weights.safetensors: a recorded baseline
    for name in ("w.keras", "w.h5"):
        with pytest.raises(ModelError, match="allow_pickle: true"):
            check(name)
        check(name, allow_pickle=True)
    with pytest.raises(ModelError, match="cannot be read"):
        check("pickled.npz")
    with pytest.raises(ModelError, match="no such file"):
        check("absent.npz")
    arrays["dense1/kernel"] = np.full((4, 4), np.nan, np.float32)
    np.savez(tmp_path / "nan.npz", **arrays)
    with pytest.raises(ModelError, match="hold NaN: dense1/kernel"):
        check("nan.npz")
    del arrays["dense1/kernel"]
    np.savez(tmp_path / "short.npz", **arrays, **{"dense1/kernle": np.zeros(3)})
    with pytest.raises(ModelError, match=r"(?s)'dense1/kernel' is missing.*did you mean 'dense1/kernel'"):
        check("short.npz")


@pytest.mark.parametrize(
    ("step", "architecture", "says"),
    [
        (Sparsify(ratio=0.5), "own_keras:of_keras3", "takes no models of Keras 3"),
        (QatW8A8(), "own_keras:of_keras3", "takes no models of Keras 3"),
        (Cluster(), "own_keras:subclass", "functional and Sequential"),
        (Cluster(clusters=256), "own_keras:tiny", "no layer of the model has more than 256 weights"),
        (Sparsify(ratio=0.95), "ds_cnn", "cannot prune DepthwiseConv2D"),
        (Distill(student="resnet8", loss="hint"), "mlp", "loss: dkd"),
        (Distill(student="resnet8", ensemble=2), "mlp", "from one teacher"),
        (Distill(student="resnet"), "mlp", "did you mean 'resnet8'"),
        (Distill(student="own_keras:too_long"), "mlp", "the data needs"),
        (
            Distill(student="mlp", options={"hiden": [4]}),
            "mlp",
            r"takes no option 'hiden'\n  where: distill.mlp, options.hiden",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_pass_that_cannot_be_performed_is_refused_before_training(step: Any, architecture: str, says: str, own: str) -> None:
    with pytest.raises(ModelError, match=says):
        Keras().check_pass(step, spec_of(architecture), "classification", (8, 8, 1), 10)


def test_a_pass_that_can_be_performed_is_not_refused() -> None:
    for step in (Sparsify(ratio=0.5), Sparsify(pattern="2of4"), Cluster(), QatW8A8(), Distill(student="mlp")):
        Keras().check_pass(step, spec_of("resnet8", {"width": 4}), "classification", (8, 8, 1), 10)


@pytest.mark.usefixtures("in_this_process")
def test_check_accepts_a_release_of_a_keras_model(tmp_path: Path) -> None:
    config = tmp_path / "release.yaml"
    config.write_text(
        """
parameters:
  config:
    name: digits
    data: {source: digits, preprocessing: {scale: 0.0625}}
    model: {framework: keras, architecture: mlp}
    ladder: [ptq_w8a8, sparsify50-qat_w8a8, cluster16-ptq_w8a8]
    targets:
      - {name: phone, runtime: litert, device: local}
      - {name: server, runtime: onnxruntime, device: local}
"""
    )
    result = CliRunner().invoke(main, ["check", str(config)])
    assert result.exit_code == 0, result.output
    assert "toolkits: keras, litert, onnxruntime" in result.output
