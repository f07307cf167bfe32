# SPDX-License-Identifier: Apache-2.0
"""A file is judged by what a board answered: handed in after `edgewright validate` laid out what it has to run."""

from pathlib import Path

import numpy as np
import pytest
from boards import hand_in
from click.testing import CliRunner, Result
from sklearn.datasets import load_digits

from edgewright.cli import main
from edgewright.config.file_passes import PtqW8A8
from edgewright.integrations.runtimes.null import NullRuntime
from edgewright.runtime import PassRequest

CONFIG = """\
data: {source: digits, preprocessing: {scale: 0.0625}}
model: {architecture: mlp, options: {hidden: []}}
targets: [{name: a, runtime: 'null'}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A linear classifier of digits, its int8 form, and a release.yaml that says how samples are prepared."""
    x, y = load_digits(return_X_y=True)
    design = np.hstack([x / 16, np.ones((len(x), 1))])
    solution = np.linalg.lstsq(design, np.eye(10)[y], rcond=None)[0].T.astype(np.float32)
    shapes = {"input_shape": np.array([1, 1, 8, 8]), "output_shape": np.array([1, 10])}
    np.savez(tmp_path / "float.npz", weight=solution[:, :-1], bias=solution[:, -1], **shapes)
    calibration = (x[:200] / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    NullRuntime().passes[PtqW8A8](PassRequest(tmp_path / "float.npz", tmp_path / "int8.npz", calibration, PtqW8A8()))
    (tmp_path / "release.yaml").write_text(f"parameters:\n  config: {{name: digits, {flow(CONFIG)}}}\n", encoding="utf-8")
    return tmp_path


def flow(block: str) -> str:
    return ", ".join(block.strip().splitlines())


def validate(folder: Path, *more: str) -> Result:
    words = ["validate", folder / "int8.npz", "--runtime", "null", "--device", "recorded", "--config", folder / "release.yaml"]
    options = {"folder": folder / "board", "board": "nucleo", "machine": "Cortex-M4"}
    given = [word for key, value in options.items() for word in ("--device-option", f"{key}={value}")]
    return CliRunner().invoke(main, [str(word) for word in [*words, *given, *more]])


def against_reference(folder: Path, *more: str) -> Result:
    return validate(folder, "--reference", str(folder / "float.npz"), *more)


def hand_in_of(folder: Path, wrong: float = 0.0) -> None:
    """Answer what was laid out, as the board does."""
    (samples,) = (folder / "board").glob("int8-*/samples-*")
    hand_in(samples, wrong)


def test_a_file_is_judged_by_what_the_board_answered(folder: Path) -> None:
    first = validate(folder)
    assert first.exit_code == 2, first.output
    assert "outputs of nucleo for 449 samples were not handed in yet" in first.output
    hand_in_of(folder)
    unknown = validate(folder, "--budget", "latency_p95_ms=5")
    assert unknown.exit_code == 1, unknown.output
    assert "? latency" in unknown.output
    (model,) = (folder / "board").glob("int8-*")
    (model / "latencies.csv").write_text("latency_ms\n" + "2.0\n" * 100, encoding="utf-8")
    held = against_reference(folder, "--budget", "latency_p95_ms=5")
    assert held.exit_code == 0, held.output
    assert "n=100, measured" in held.output, "handed in once, counted once"
    for rule in ("accuracy", "parity", "latency", "worth_it"):
        assert f"✓ {rule}" in held.output


def test_a_board_that_disagrees_on_a_tenth_of_the_samples_is_refused(folder: Path) -> None:
    validate(folder)
    hand_in_of(folder, wrong=0.1)
    result = against_reference(folder)
    assert result.exit_code == 1, result.output
    assert "✗ parity" in result.output
