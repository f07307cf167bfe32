# SPDX-License-Identifier: Apache-2.0
"""Core ML: the contract of a runtime, the programs its interpreter executes, what is refused, and a seeded miscompile."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn
from torch.nn import functional

from edgewright.artifact import Artifact, ArtifactManifest
from edgewright.cli import main
from edgewright.config.data import Preprocessing
from edgewright.config.file_passes import Float16, Palettize, WeightOnlyW8
from edgewright.errors import ExportError, StoreError
from edgewright.integrations.frameworks.pytorch.quantized import calibrate, prepare
from edgewright.integrations.runtimes.coreml import CoreML
from edgewright.integrations.runtimes.coreml.convert import save, sound_pipeline
from edgewright.integrations.runtimes.coreml.toolkit import toolkit
from edgewright.parity import compare_outputs
from edgewright.quantize import answers as run_file
from edgewright.runtime import PassRequest
from edgewright.standalone import find_artifact
from edgewright.testing import RuntimeContract

Array = np.ndarray[Any, Any]
RUNTIME = CoreML()


class TestCoreML(RuntimeContract):
    runtime = CoreML


class Varied(nn.Module):
    """What users write: strides, dilations, groups, padding, pooling, concatenation, normalization, activations."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8)
        self.grouped = nn.Conv2d(8, 8, (1, 3), padding=(0, 1), groups=2, bias=False)
        self.hidden, self.layer_norm, self.out = nn.Linear(32, 16), nn.LayerNorm(16), nn.Linear(16, 4)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        wide = functional.relu6(self.norm(self.first(inputs)))
        other = functional.leaky_relu(self.depthwise(functional.pad(wide, (0, 1, 1, 0))))[:, :, 1:, :-1]
        both = torch.cat([functional.max_pool2d(wide, 3, 2, 1), functional.avg_pool2d(functional.hardswish(other), 2)], 1)
        flat = functional.avg_pool2d(both, (2, 3)).flatten(1)
        hidden = functional.gelu(self.layer_norm(self.hidden(flat))) * torch.sigmoid(flat[:, :16]) - 0.5
        return torch.softmax(self.out(torch.tanh(hidden)), 1)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def inputs() -> Array:
    return np.random.default_rng(0).normal(size=(8, 3, 16, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def varied(inputs: Array, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(Varied(), inputs, tmp_path_factory.mktemp("varied"))


def exported(model: nn.Module, inputs: Array, folder: Path, **options: Any) -> Path:
    file = folder / "model.mlpackage"
    RUNTIME.export(model.eval(), inputs[:1], file, CoreML.Options(**options))
    return file


def answers(file: Path, inputs: Array) -> Array:
    return run_file(RUNTIME.load(file, 1), RUNTIME.inspect(file), inputs)


def of_torch(model: nn.Module, inputs: Array) -> Array:
    with torch.no_grad():
        found: Array = model.eval()(torch.from_numpy(inputs)).numpy()
    return found


def converted(options: Any, parent: Path, out: Path) -> Path:
    RUNTIME.passes[type(options)](PassRequest(parent, out, np.zeros((0, 1), np.float32), options))
    return out


def test_programs_compute_what_the_model_computes(varied: Path, inputs: Array) -> None:
    np.testing.assert_allclose(answers(varied, inputs), of_torch(Varied(), inputs), atol=1e-5)


@pytest.mark.parametrize("target", ["iOS16", "iOS18"])
def test_each_generation_of_programs_is_compressed_and_executed(
    target: str, varied: Path, inputs: Array, tmp_path: Path
) -> None:
    """iOS 18 has other operators for compressed weights than iOS 16 and 17."""
    wanted = of_torch(Varied(), inputs)
    parent = exported(Varied(), inputs, tmp_path, minimum_deployment_target=target)
    for options, tolerance in ((WeightOnlyW8(), 0.01), (Palettize(bits=6), 0.05), (Float16(), 0.005)):
        file = converted(options, parent, tmp_path / f"{options.name}.mlpackage")
        assert np.abs(answers(file, inputs) - wanted).max() < tolerance, options.name
    assert (parent / "Data" / "com.apple.CoreML" / "weights" / "weight.bin").is_file()


def test_float16_throughout_is_executed_and_cannot_be_made_float16_again(inputs: Array, tmp_path: Path) -> None:
    file = exported(Varied(), inputs, tmp_path, compute_precision="float16")
    difference = np.abs(answers(file, inputs) - of_torch(Varied(), inputs)).max()
    assert 0 < difference < 0.005
    assert {spec.dtype for spec in (*RUNTIME.inspect(file).inputs, *RUNTIME.inspect(file).outputs)} == {"float32"}
    with pytest.raises(ExportError, match="nothing to convert for fp16"):
        converted(Float16(), file, tmp_path / "again.mlpackage")


def test_a_model_trained_with_its_quantization_computes_in_float16_too(inputs: Array, tmp_path: Path) -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 8 * 6, 4)
    ).eval()
    prepared, file = prepare(model, (3, 16, 12)), tmp_path / "model.mlpackage"
    calibrate(prepared, torch.from_numpy(inputs), model)
    RUNTIME.export_quantized(prepared, inputs[:1], file, CoreML.Options(compute_precision="float16"))
    wanted = prepared(torch.from_numpy(inputs)).detach().numpy()
    assert np.abs(answers(file, inputs) - wanted).max() <= 2.01 * RUNTIME.inspect(file).outputs[0].lsb  # type: ignore[operator]
    with pytest.raises(ExportError, match="quantized activations need iOS 17"):
        RUNTIME.export_quantized(prepared, inputs[:1], file, CoreML.Options(minimum_deployment_target="iOS16"))


def test_a_model_without_weights_has_nothing_to_convert(inputs: Array, tmp_path: Path) -> None:
    parent = exported(nn.Sequential(nn.ReLU(), nn.Flatten()), inputs, tmp_path)
    with pytest.raises(ExportError, match="leave palettize4 out of this target's ladder"):
        converted(Palettize(), parent, tmp_path / "out.mlpackage")


def test_an_operator_that_coremltools_cannot_convert_is_named_with_its_layer(inputs: Array, tmp_path: Path) -> None:
    class Strange(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.special.i0e(inputs)

    model = nn.Sequential()
    model.add_module("first", nn.Flatten())
    model.add_module("strange", Strange())
    with pytest.raises(ExportError, match=r"no conversion for operator special_i0e(.|\n)*layer 'strange'"):
        exported(model, inputs, tmp_path)


def test_an_operator_that_the_interpreter_does_not_have_is_named_with_its_layer(inputs: Array, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"operator cumsum is not supported(.|\n)*layer 'cumsum"):
        RUNTIME.inspect(exported(Cumulative(), inputs, tmp_path))


class Cumulative(nn.Module):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.cumsum(1)


def test_a_package_that_points_outside_itself_is_refused(varied: Path, tmp_path: Path) -> None:
    package, outside = tmp_path / "model.mlpackage", tmp_path / "outside"
    shutil.copytree(varied, package)
    shutil.copyfile(package / "Data/com.apple.CoreML/model.mlmodel", outside)
    manifest = json.loads((package / "Manifest.json").read_text())
    manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"] = "../../outside"
    (package / "Manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ExportError, match="'outside' lies outside the package"):
        RUNTIME.inspect(package)
    weights = package / "Data/com.apple.CoreML/weights/weight.bin"
    shutil.copyfile(varied / "Manifest.json", package / "Manifest.json")
    weights.rename(outside)
    weights.symlink_to(outside)
    with pytest.raises(ExportError, match=r"'weight.bin' lies outside the package"):
        RUNTIME.load(package, 1)


def test_a_bundle_holds_all_files_of_a_package(varied: Path, tmp_path: Path) -> None:
    """Each has its digest, copies are whole, and the package is found by its own path."""
    shutil.copytree(varied, tmp_path / "artifact" / "model.mlpackage")
    assert find_artifact(tmp_path / "artifact" / "model.mlpackage") is None
    declared = RUNTIME.inspect(varied)
    manifest = ArtifactManifest(
        format="mlpackage", file="model.mlpackage", size_bytes=1, recipe="float32", task="classification",
        inputs=declared.inputs, outputs=declared.outputs, preprocessing=Preprocessing(), toolchain={}, parent="0" * 64,
    )  # fmt: skip
    copy = Artifact.seal(tmp_path / "artifact", manifest).copy_to(tmp_path / "copy")
    assert len(copy.files) == 3
    found = find_artifact(copy.main_file)
    assert found is not None
    assert found.digest == copy.digest
    RUNTIME.load(copy.main_file, 1)
    (copy.main_file / "Data/com.apple.CoreML/weights/weight.bin").write_bytes(b"")
    with pytest.raises(StoreError, match=r"weight.bin' was changed"):
        Artifact.open(copy.path)


def requantized(pipeline: Any, out: Path) -> Path:
    """A value in one quantization, reshaped, and stored in another: what torch's quantizers write for a flatten."""
    coremltools = toolkit()
    from coremltools.converters.mil import Builder

    @Builder.program(input_specs=[Builder.TensorSpec(shape=(1, 4, 2))], opset_version=coremltools.target.iOS17)  # type: ignore[untyped-decorator]
    def program(input: Any) -> Any:  # noqa: A002
        fine, coarse = ({"scale": np.float32(scale), "zero_point": np.int8(0)} for scale in (0.01, 0.03))
        stored = Builder.quantize(input=input, output_dtype="int8", **fine)
        flat = Builder.reshape(x=Builder.dequantize(input=stored, **fine), shape=(1, 8))
        again = Builder.quantize(input=flat, output_dtype="int8", **coarse)
        return Builder.dequantize(input=again, **coarse)

    save(
        coremltools.convert(
            program,
            convert_to="mlprogram",
            pass_pipeline=pipeline,
            minimum_deployment_target=coremltools.target.iOS17,
            compute_precision=coremltools.precision.FLOAT32,
            skip_model_load=True,
        ),
        out,
    )
    return out


def test_the_interpreter_exposes_a_miscompiled_program(tmp_path: Path) -> None:
    """coremltools takes the second scale for the first: the file loads, and answers three times too much."""
    inputs = np.random.default_rng(0).uniform(-1, 1, (64, 4, 2)).astype(np.float32)
    wanted = inputs.reshape(64, 8)
    coremltools = toolkit()
    wrong = requantized(coremltools.PassPipeline.DEFAULT, tmp_path / "wrong.mlpackage")
    right = requantized(sound_pipeline(coremltools), tmp_path / "right.mlpackage")
    gains = {}
    for file in (wrong, right):
        found = compare_outputs(answers(file, inputs), wanted, "regression", RUNTIME.inspect(file).outputs[0])
        gains[file.stem] = found.gain
    assert gains["wrong"] == pytest.approx(3, abs=0.05)
    assert gains["right"] == pytest.approx(1, abs=0.05)


def test_a_package_that_coremltools_wrote_is_held_against_torchs_outputs(inputs: Array, tmp_path: Path) -> None:
    """As its tutorial has it: traced, with a name of its own for the input, float16 within."""
    tools = toolkit()
    traced = torch.jit.trace(Varied().eval(), torch.from_numpy(inputs[:1]))
    given = tools.TensorType(name="picture", shape=(1, *inputs.shape[1:]))
    tools.convert(traced, inputs=[given], minimum_deployment_target=tools.target.iOS17).save(str(tmp_path / "m.mlpackage"))
    outputs = of_torch(Varied(), inputs)
    np.savez(tmp_path / "data.npz", x=inputs, y=outputs.argmax(axis=1))
    np.savez(tmp_path / "torch.npz", outputs=outputs)
    asked = ["validate", "m.mlpackage", "--runtime", "coreml", "--data", "data.npz", "--reference", "torch.npz"]
    files = [str(tmp_path / one) if "." in one else one for one in asked]
    result = CliRunner().invoke(main, [*files, "--device", "null"])
    assert "✓ parity" in result.output, result.output
    assert "✓ sanity" in result.output
