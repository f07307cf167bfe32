# SPDX-License-Identifier: Apache-2.0
"""Edge TPU: which operators it takes, and what is done with the compiler where it is there, or is not.

The compiler cannot be here: a stand-in on the PATH prints a report in the form of version 16's.
"""

import os
from pathlib import Path

import pytest
from tflite_artifacts import Net, exported

from edgewright.artifact import Artifact
from edgewright.config.model import ModelSpec, Training
from edgewright.data.dataset import Dataset
from edgewright.errors import ExportError
from edgewright.integrations.runtimes.edgetpu import EdgeTPU
from edgewright.integrations.runtimes.edgetpu.coverage import coverage
from edgewright.package import package_artifact
from edgewright.runtime import OperatorUse
from edgewright.testing import RuntimeContract

REPORT = """\
Edge TPU Compiler version 16.0.384591198

Model compiled successfully in 12 ms.

Input model: model.tflite
Input size: 6.16KiB
Output model: model_edgetpu.tflite
Output size: 36.09KiB
On-chip memory used for caching model parameters: 3.25KiB
On-chip memory remaining for caching model parameters: 7.70MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 6

Operator                       Count      Status

CONV_2D                        2          Mapped to Edge TPU
PAD                            1          Mapped to Edge TPU
TRANSPOSE                      1          Mapped to Edge TPU
MEAN                           1          Operation is otherwise supported, but not mapped due to some unspecified limitation
FULLY_CONNECTED                1          More than one subgraph is not supported
"""


class TestEdgeTPU(RuntimeContract):
    runtime = EdgeTPU
    model = ModelSpec(architecture="mlp", training=Training(epochs=4, batch_size=16))
    sample = (24,)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is searched for commands before all others; whatever compiler is installed is not found."""
    folder = tmp_path / "commands"
    folder.mkdir()
    rest = [place for place in os.environ["PATH"].split(os.pathsep) if not (Path(place) / "edgetpu_compiler").exists()]
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), *rest]))
    return folder


def stand_in(folder: Path, script: str) -> None:
    command = folder / "edgetpu_compiler"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)


def test_without_the_compiler_the_artifact_says_so(
    network_files: tuple[Artifact, Artifact], commands: Path, tmp_path: Path
) -> None:
    made = package_artifact(network_files[1], "edgetpu", {}, tmp_path / "made")
    package = made.facts.package
    assert package is not None
    assert package.stored == ""
    assert package.estimates == {}
    assert "4 of 6 operators run on the Edge TPU" in package.notes[0]
    assert "MEAN (after second): it averages over an innermost axis of 5" in package.notes[0]
    assert package.notes[1].startswith("Not compiled: edgetpu_compiler is not on the PATH")
    assert made.facts.size_bytes == made.main_file.stat().st_size


def test_with_the_compiler_its_file_is_stored_and_its_report_read(
    network_files: tuple[Artifact, Artifact], commands: Path, tmp_path: Path
) -> None:
    (commands / "report.txt").write_text(REPORT)
    stand_in(commands, f'cat {commands}/report.txt; cat "$4" "$4" > "$3/$(basename "$4" .tflite)_edgetpu.tflite"')
    made = package_artifact(network_files[1], "edgetpu", {}, tmp_path / "made")
    package = made.facts.package
    assert package is not None
    assert package.stored == "model_edgetpu.tflite"
    assert made.facts.size_bytes == 2 * made.main_file.stat().st_size
    told = " ".join(package.notes[1:])
    assert "edgetpu_compiler 16.0.384591198" in told
    assert "maps 4 of 6 operators" in told
    assert "1 × MEAN: Operation is otherwise supported, but not mapped" in told
    assert "3.25KiB kept on the chip, 0.00B streamed" in told


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'Invalid model: model.tflite'; echo 'Model not quantized'; exit 1", r"exit status 1\): Model not quantized"),
        ("echo 'Internal compiler error. Aborting!'", r"exit status 0\): Internal compiler error"),
        (
            'echo "SIN                  1     Operation not supported"; cp "$4" "$3/model_edgetpu.tflite"',
            "maps no operator of the file",
        ),
    ],
)
def test_a_refusal_of_the_compiler_is_an_error_in_its_words(
    script: str, said: str, network_files: tuple[Artifact, Artifact], commands: Path, tmp_path: Path
) -> None:
    stand_in(commands, script)
    copy = tmp_path / "model.tflite"
    copy.write_bytes(network_files[1].main_file.read_bytes())
    with pytest.raises(ExportError, match=said):
        EdgeTPU().package(copy, network_files[1].facts, EdgeTPU.Options())


def test_a_float_file_is_refused(network_files: tuple[Artifact, Artifact], commands: Path) -> None:
    with pytest.raises(ExportError, match=r"8-bit integers only.*float32"):
        EdgeTPU().package(network_files[0].main_file, network_files[0].facts, EdgeTPU.Options())


def test_operators_that_are_not_taken_are_named_with_their_layer(network_data: Dataset, tmp_path: Path) -> None:
    runtime = EdgeTPU()
    odd = exported(tmp_path, Net(odd=True), network_data)[1]
    found = coverage(runtime.writer.operators(odd.main_file))
    assert found.mapped == 1  # the first convolution
    assert any(refused.startswith("SIN (after first): ") for refused in found.refused)
    assert "CONV_2D (second)" not in found.words
    assert "all behind the first of them stays there too" in found.words


@pytest.mark.parametrize(
    ("operator", "said"),
    [
        (OperatorUse("CONV_2D", "a", "o", options={"dilationWFactor": 2, "dilationHFactor": 1}), "dilation is 1 down and 2"),
        (OperatorUse("MAX_POOL_2D", "a", "o", options={"fusedActivationFunction": 1}), "fused activation"),
        (OperatorUse("GELU", "a", "o"), "GELU (a): not supported"),
        (OperatorUse("RELU", "a", "o"), "all 1 operators run"),
    ],
)
def test_published_limits_of_an_operator_are_checked(operator: OperatorUse, said: str) -> None:
    assert said in coverage([operator]).words
