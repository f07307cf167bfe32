# SPDX-License-Identifier: Apache-2.0
"""Files with state answer each sample as if it were the first; one that is not reset is caught."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from stateful_files import CLASSES, FEATURES, svdf_file, variable_file

from edgewright.cli import main
from edgewright.integrations.runtimes.litert.session import LiteRTSession, open_session
from edgewright.integrations.runtimes.tflite_micro import TFLiteMicro
from edgewright.integrations.runtimes.tflite_micro.session import MicroSession

Writer = Callable[[Path], None]
FILES = pytest.mark.parametrize("write", [svdf_file, variable_file])
RUNTIMES = pytest.mark.parametrize("runtime", ["litert", "tflite_micro"])
X = np.random.default_rng(1).normal(size=(40, FEATURES)).astype(np.float32)


def validate(write: Writer, runtime: str, folder: Path) -> Result:
    write(folder / "model.tflite")
    np.savez(folder / "data.npz", x=X, y=np.arange(len(X)) % CLASSES)
    arguments = ["validate", folder / "model.tflite", "--runtime", runtime, "--data", folder / "data.npz", "--device", "null"]
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@FILES
def test_what_the_state_holds_is_forgotten(write: Writer, tmp_path: Path) -> None:
    write(tmp_path / "model.tflite")
    for session in (open_session(tmp_path / "model.tflite", 1), TFLiteMicro().load(tmp_path / "model.tflite", 1)):
        first = session.run(X[:1])
        assert np.abs(session.run(X[:1]) - first).max() > 1e-2  # the state is there
        session.reset()
        np.testing.assert_array_equal(session.run(X[:1]), first)


@FILES
@RUNTIMES
def test_samples_are_run_as_if_each_were_the_first(write: Writer, runtime: str, tmp_path: Path) -> None:
    result = validate(write, runtime, tmp_path)
    assert result.exit_code == 0, result.output
    assert "samples run again are answered alike" in result.output


@FILES
@RUNTIMES
def test_a_file_that_is_not_reset_is_caught(
    write: Writer, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for session in (LiteRTSession, MicroSession):
        monkeypatch.setattr(session, "reset", lambda self: None)
    result = validate(write, runtime, tmp_path)
    assert result.exit_code == 1, result.output
    assert "carries state from sample to sample" in result.output
