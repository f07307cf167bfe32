# SPDX-License-Identifier: Apache-2.0
"""Releases that start from a float .onnx or .tflite file that somebody else exported."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from linear_files import PREPROCESSING, Model, linear_model, onnx_file, ranges, tflite_file
from release_project import Project

from edgewright.artifact import Artifact, Candidate
from edgewright.bench import bench_of
from edgewright.config import Measuring, ModelSpec, ReleaseConfig, Target
from edgewright.config.file_passes import PtqW8A8
from edgewright.config.load import load_config
from edgewright.config.recipe import Rung
from edgewright.data.dataset import Array, Dataset
from edgewright.errors import ConfigError, ModelError
from edgewright.export import apply_pass, export_model
from edgewright.plugins import create
from edgewright.preflight import preflight
from edgewright.report.release_json import ReleaseFacts

INT8 = Rung(passes=(PtqW8A8(samples=200),))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return linear_model(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def files(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their nodes have no names, as some converters leave them."""
    folder = tmp_path_factory.mktemp("files")
    onnx_file(folder / "first.onnx", model)
    onnx_file(folder / "last.onnx", model, shape=(-1, 8, 8, 3), opset=11)
    onnx_file(folder / "qdq.onnx", model, ranges(model))
    tflite_file(folder / "last.tflite", model)
    tflite_file(folder / "int8.tflite", model, ranges(model))
    return folder


def candidate(file: Path, data: Dataset, folder: Path) -> Candidate:
    spec = ModelSpec.model_validate({"file": str(file)})
    out = folder / "candidate"
    out.mkdir()
    return Candidate.seal(out, create("frameworks", spec.framework).train(spec, data, 0, "top1", out, folder))


def outputs(artifact: Artifact, runtime: str, data: Dataset) -> Array:
    target = Target(name="a", runtime=runtime, device="null")
    _, found = bench_of(target, Measuring()).probe(artifact, data.stored("validation"), timing=False)
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["first.onnx", "last.onnx", "last.tflite"])
def test_the_baseline_is_what_the_file_answers(name: str, files: Path, model: Model, tmp_path: Path) -> None:
    taken = candidate(files / name, model.dataset, tmp_path)
    framework = create("frameworks", taken.facts.framework)
    answered = framework.predict(framework.load(taken), model.dataset.inputs("validation", framework.layouts[3]))
    np.testing.assert_allclose(answered, model.outputs, rtol=1e-4, atol=1e-4)
    assert (taken.facts.parameters, taken.facts.history) == (10 * 192 + 10, ())


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    ("name", "runtime"),
    [("last.onnx", "onnxruntime"), ("last.onnx", "openvino"), ("last.tflite", "openvino"), ("last.tflite", "litert")],
)
def test_files_go_to_every_runtime_of_their_format_and_are_quantized_there(
    name: str, runtime: str, files: Path, model: Model, tmp_path: Path
) -> None:
    """Channels come last in all of them, which ONNX files cannot declare."""
    taken = candidate(files / name, model.dataset, tmp_path)
    exported = export_model(taken, model.dataset, runtime, {}, tmp_path / "float")
    int8 = apply_pass(exported, model.dataset, runtime, INT8, tmp_path / "int8", taken)
    assert [one.facts.inputs[0].layout for one in (exported, int8)] == ["NHWC", "NHWC"]
    np.testing.assert_allclose(outputs(exported, runtime, model.dataset), model.outputs, rtol=1e-4, atol=1e-4)
    answered = outputs(int8, runtime, model.dataset)
    assert 0 < np.median(np.abs(answered - model.outputs)) < 0.01 * np.ptp(model.outputs)
    assert (answered.argmax(1) == model.outputs.argmax(1)).mean() > 0.97


def test_a_release_starts_from_a_file_and_says_what_cannot_be_done_to_it(files: Path, model: Model, tmp_path: Path) -> None:
    data = model.dataset
    stored = {split: (data.stored(split), data.labels(split)) for split in ("train", "validation", "test")}
    x, y = (np.concatenate([pair[part] for pair in stored.values()]) for part in (0, 1))
    np.savez(tmp_path / "digits.npz", x=x, y=y)
    (tmp_path / "model.onnx").write_bytes((files / "last.onnx").read_bytes())
    project = Project(
        tmp_path,
        {
            "name": "given",
            "data": {"source": "digits.npz", "preprocessing": PREPROCESSING.model_dump(mode="json", exclude_unset=True)},
            "model": {"file": "model.onnx"},
            "ladder": ["prune50-ptq_w8a8", "ptq_w8a8"],
            "targets": [{"name": "a", "runtime": "onnxruntime", "device": "null", "budget": {"max_accuracy_drop": 0.05}}],
            "measuring": {"invocations": 20, "processes": 1},
        },
    )
    project.write()
    ended = project.edgewright("run", "release.yaml")
    assert ended.code == 0, ended.output
    facts = ReleaseFacts.model_validate_json((project.out / "release.json").read_text())
    (target,) = facts.targets
    assert [(rung.recipe, rung.status) for rung in target.rungs] == [("prune50-ptq_w8a8", "skipped"), ("ptq_w8a8", "passed")]
    assert target.rungs[0].reasons == ("a release from a finished file (onnx) has no live model for prune",)
    assert facts.candidate.model.title == "model.onnx"
    assert facts.baseline["test"]["top1"].value > 0.9
    promoted = Artifact.open(project.out / "artifacts" / "a")
    assert promoted.facts.inputs[0].layout == "NHWC"
    page = (project.out / "report.html").read_text()
    assert "model.onnx" in page
    assert "resnet8" not in page


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("qdq.onnx", "1 x QuantizeLinear"),
        ("int8.tflite", "constants of integers, such as 'weight'"),
        ("absent.onnx", "there is no file 'absent.onnx'"),
    ],
)
def test_what_no_release_can_start_from_is_refused(name: str, said: str, files: Path, model: Model) -> None:
    spec = ModelSpec.model_validate({"file": str(files / name)})
    sample = (8, 8, 3) if name.endswith("tflite") else (3, 8, 8)
    with pytest.raises(ModelError, match=said):
        create("frameworks", spec.framework).check(spec, "classification", sample, 10)


@pytest.mark.parametrize(("sample", "outputs", "said"), [((3, 4, 4), 10, "wants the shape"), ((3, 8, 8), 4, r"needs \(1, 4\)")])
def test_a_file_for_other_data_is_refused(sample: tuple[int, ...], outputs: int, said: str, files: Path) -> None:
    spec = ModelSpec.model_validate({"file": str(files / "first.onnx")})
    with pytest.raises(ModelError, match=said):
        create("frameworks", "onnx").check(spec, "classification", sample, outputs)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("architecture: resnet8-wide", "'architecture' does not go with 'file'"),
        ("training: {epochs: 3}", "'training' does not go with 'file'"),
        ("weights: a.pt", "'weights' does not go with 'file'"),
        ("framework: keras", "'framework' does not go with 'file'"),
        ("file: model.pt", "'.pt'; it can from: .onnx, .tflite"),
    ],
)
def test_a_file_stands_alone_in_the_model_section(more: str, said: str, tmp_path: Path) -> None:
    file = "" if more.startswith("file") else "file: model.onnx, "
    (tmp_path / "release.yaml").write_text(f"model: {{{file}{more}}}\ntargets: [{{name: a, runtime: onnxruntime}}]\n")
    with pytest.raises(ConfigError) as refused:
        load_config(tmp_path / "release.yaml")
    assert said in str(refused.value)


def test_a_runtime_of_another_format_is_refused_before_anything_runs() -> None:
    config: dict[str, Any] = {"model": {"file": "model.onnx"}, "targets": [{"name": "a", "runtime": "litert"}]}
    with pytest.raises(ConfigError, match="takes no models of framework 'onnx'"):
        preflight(ReleaseConfig.model_validate(config))


def test_a_configuration_with_a_file_survives_being_written_and_read() -> None:
    spec = ModelSpec.model_validate({"file": "model.onnx"})
    assert (spec.framework, spec.training) == ("onnx", None)
    assert ModelSpec.model_validate_json(spec.model_dump_json()) == spec


def test_the_example_of_the_page_can_be_loaded(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "start-from-a-file.md").read_text(encoding="utf-8")
    (tmp_path / "release.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    config = load_config(tmp_path / "release.yaml")
    assert config.model.file == str(tmp_path / "model.onnx")
    preflight(config)
