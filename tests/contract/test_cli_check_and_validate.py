# SPDX-License-Identifier: Apache-2.0
"""`edgewright check` on real data and models, and `edgewright validate` on files nobody trained here."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from sklearn.datasets import load_digits

from edgewright.artifact import Artifact, ArtifactManifest
from edgewright.cli import main
from edgewright.config import Preprocessing
from edgewright.config.file_passes import PtqW8A8
from edgewright.integrations.runtimes.null import NullRuntime
from edgewright.runtime import PassRequest

CONFIG = """\
parameters:
  config:
    name: digits
    data: {source: digits, preprocessing: {scale: 0.0625}}
    model: {architecture: mlp, options: {hidden: []}}
    measuring: {invocations: 30, processes: 2}
    targets: [{name: a, runtime: 'null', device: 'null'}]
"""


def edgewright(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "release.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear classifier of digits by least squares: float.npz, its int8 form, and one with its classes turned round."""
    folder = tmp_path_factory.mktemp("files")
    x, y = load_digits(return_X_y=True)
    design = np.hstack([x / 16, np.ones((len(x), 1))])
    solution = np.linalg.lstsq(design, np.eye(10)[y], rcond=None)[0].T.astype(np.float32)
    weight, bias = solution[:, :-1], solution[:, -1]
    shapes = {"input_shape": np.array([1, 1, 8, 8]), "output_shape": np.array([1, 10])}
    np.savez(folder / "float.npz", weight=weight, bias=bias, **shapes)
    np.savez(folder / "turned.npz", weight=weight[::-1], bias=bias[::-1], **shapes)
    calibration = (x[:200] / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    request = PassRequest(folder / "float.npz", folder / "int8.npz", calibration, PtqW8A8())
    NullRuntime().passes[PtqW8A8](request)
    return folder


def test_check_says_what_it_found(config: Path) -> None:
    result = edgewright("check", config)
    assert result.exit_code == 0, result.output
    assert result.output.count("✓") == 6
    assert "898 train, 180 calibration, 270 validation, 449 test" in result.output
    assert "mlp takes (1, 8, 8)" in result.output
    assert f"edgewright run {config}" in result.output


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("source: digits", "source: nowhere.csv", "nowhere.csv"),
        ("preprocessing: {scale: 0.0625}", "checks: {value_range: [0, 1]}", "the data breaks 1 rule"),
        ("architecture: mlp", "architecture: mpl", "did you mean 'mlp'"),
        ("options: {hidden: []}", "options: {hiden: []}", "hiden"),
        ("options: {hidden: []}", "weights: nowhere.pt", "nowhere.pt"),
    ],
)
def test_check_finds_what_would_fail_later(config: Path, old: str, new: str, said: str) -> None:
    config.write_text(CONFIG.replace(old, new), encoding="utf-8")
    result = edgewright("check", config)
    assert result.exit_code == 2, result.output
    assert said in result.output


def validate(files: Path, config: Path, name: str, *more: object) -> Result:
    return edgewright("validate", files / name, "--runtime", "null", "--device", "null", "--config", config, *more)


def test_validate_judges_a_file_against_its_reference(files: Path, config: Path) -> None:
    result = validate(files, config, "int8.npz", "--reference", files / "float.npz", "--budget", "max_accuracy_drop=0.05")
    assert result.exit_code == 0, result.output
    assert "✓ accuracy" in result.output
    assert "✓ worth_it" in result.output
    assert "agreement" in result.output


def test_validate_refuses_a_wrong_file_with_1(files: Path, config: Path) -> None:
    result = validate(files, config, "turned.npz", "--reference", files / "float.npz")
    assert result.exit_code == 1, result.output
    assert "✗ accuracy" in result.output
    assert "✗ parity" in result.output


def test_validate_holds_a_file_to_a_budget_without_a_reference(files: Path, config: Path, tmp_path: Path) -> None:
    (tmp_path / "budget.yaml").write_text("size_bytes: 100\n", encoding="utf-8")
    result = validate(files, config, "int8.npz", "--budget", tmp_path / "budget.yaml")
    assert result.exit_code == 1, result.output
    assert "✗ size" in result.output
    assert "accuracy:" not in result.output, "there is nothing to compare with"
    assert validate(files, config, "int8.npz", "--budget", "size_bytes=100_000").exit_code == 0


def test_validate_cannot_decide_latency_on_a_device_that_only_imitates(files: Path, config: Path) -> None:
    result = validate(files, config, "int8.npz", "--budget", "latency_p50_ms=1000")
    assert result.exit_code == 1, result.output
    assert "? latency" in result.output


def test_validate_without_a_budget_only_measures(files: Path, config: Path) -> None:
    result = validate(files, config, "float.npz")
    assert result.exit_code == 0, result.output
    assert "top1" in result.output
    assert "no --budget and no --reference" in result.output


def test_validate_takes_all_samples_of_other_data(files: Path, config: Path, tmp_path: Path) -> None:
    x, y = load_digits(return_X_y=True)
    np.savez(tmp_path / "fresh.npz", x=x[:600].reshape(-1, 8, 8).astype(np.float32), y=y[:600])
    result = validate(files, config, "float.npz", "--data", tmp_path / "fresh.npz")
    assert result.exit_code == 0, result.output
    assert "n=600" in result.output


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--budget", "size_byte=1"], "did you mean 'size_bytes'?"),
        (["--budget", "size_bytes=big"], "must be a whole number"),
        (["--budget", "max_accuracy_drop=0.1"], "--reference FILE"),
        (["--reference", "nowhere.npz"], "there is no file 'nowhere.npz'"),
        (["--runtime", "nul"], "did you mean 'null'?"),
        (["--data", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_validate_says_what_is_wrong_with_the_request(files: Path, config: Path, more: list[str], said: str) -> None:
    result = validate(files, config, "int8.npz", *more)
    assert result.exit_code == 2, result.output
    assert said in result.output


def test_validate_wants_to_know_how_samples_are_prepared(files: Path) -> None:
    """Samples of floats may be prepared already: they are given as they are, and the command says so."""
    asked = ("validate", files / "float.npz", "--runtime", "null", "--device", "null", "--data", "digits")
    result = edgewright(*asked)
    assert result.exit_code == 0, result.output
    assert "samples are given as they are (float32)" in result.output
    assert "given as they are" not in edgewright(*asked, "--preprocessing", "scale=0.0625").output


def test_validate_takes_an_artifact_by_its_manifest(files: Path, tmp_path: Path) -> None:
    folder = tmp_path / "artifact"
    folder.mkdir()
    (folder / "int8.npz").write_bytes((files / "int8.npz").read_bytes())
    declared = NullRuntime().inspect(folder / "int8.npz")
    manifest = ArtifactManifest(
        format="npz",
        file="int8.npz",
        size_bytes=(folder / "int8.npz").stat().st_size,
        recipe="ptq_w8a8",
        task="classification",
        inputs=declared.inputs,
        outputs=declared.outputs,
        preprocessing=Preprocessing(scale=0.0625, layout="HW"),
        labels=tuple("0123456789"),
        toolchain={},
        parent="0" * 64,
    )
    Artifact.seal(folder, manifest)
    for named in (folder, folder / "int8.npz"):
        result = edgewright("validate", named, "--runtime", "null", "--device", "null", "--data", "digits")
        assert result.exit_code == 0, result.output
        assert "n=1797" in result.output
    (folder / "int8.npz").write_bytes((files / "turned.npz").read_bytes())
    result = edgewright("validate", folder, "--runtime", "null", "--device", "null", "--data", "digits")
    assert result.exit_code == 2
    assert "was changed" in result.output


def test_validate_refuses_a_file_cut_short(files: Path, config: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.npz").write_bytes((files / "int8.npz").read_bytes()[:200])
    result = validate(tmp_path, config, "cut.npz")
    assert result.exit_code == 2, result.output
    assert "not a readable file of the null runtime" in result.output
