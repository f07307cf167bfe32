# SPDX-License-Identifier: Apache-2.0
"""TVM: libraries for this machine and for Arm, on top of the contract."""

import json
import platform
from pathlib import Path

import arm_root
import numpy as np
import pytest
import torch
from torch import nn

from edgewright.artifact import ArtifactManifest
from edgewright.config import Preprocessing
from edgewright.device import ProbePlan
from edgewright.errors import DeviceError, ExportError, ToolkitMissing
from edgewright.integrations.devices.null import NullDevice
from edgewright.integrations.devices.qemu import QemuAarch64
from edgewright.integrations.runtimes.tvm import TVM
from edgewright.testing import RuntimeContract

RUNTIME = TVM()
SAMPLES = np.random.default_rng(0).random((5, 3, 8, 8), dtype=np.float32)
OTHER = "x86_64" if platform.machine() == "aarch64" else "aarch64"


class TestTVM(RuntimeContract):
    runtime = TVM


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()


@pytest.fixture(scope="module")
def for_arm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("arm") / "model.so"
    RUNTIME.export(network(), SAMPLES[:1], file, TVM.Options(machine="aarch64"))
    return file


def manifest(file: Path) -> ArtifactManifest:
    signature = RUNTIME.inspect(file)
    return ArtifactManifest(
        format="tvm", file=file.name, size_bytes=1, recipe="float32", task="classification", inputs=signature.inputs,
        outputs=signature.outputs, preprocessing=Preprocessing(layout="CHW"), toolchain={}, parent="",
    )  # fmt: skip


def test_a_library_for_arm_answers_there_what_the_model_answers_here(for_arm: Path) -> None:
    arm_root.prepare()
    device, plan = QemuAarch64(), ProbePlan(runtime="tvm", outputs=True)
    _, outputs = device.probe(for_arm, manifest(for_arm), SAMPLES, plan, device.Options())
    with torch.no_grad():
        expected = network()(torch.from_numpy(SAMPLES)).numpy()
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_a_library_for_another_machine_is_not_loaded_here(tmp_path: Path) -> None:
    options = TVM.Options(machine=OTHER)
    file = tmp_path / "model.so"
    RUNTIME.export(network(), SAMPLES[:1], file, options)
    assert OTHER in RUNTIME.why_not_here(options)
    assert not RUNTIME.why_not_here(TVM.Options())
    plan = ProbePlan(runtime="tvm", outputs=True)
    with pytest.raises(DeviceError, match=r"model\.so holds machine code for"):
        NullDevice().probe(file, manifest(file), SAMPLES, plan, NullDevice.Options())


def test_without_a_cross_compiler_the_apt_line_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolkitMissing, match=r"apt-get install -y --no-install-recommends g\+\+-"):
        RUNTIME.export(network(), SAMPLES[:1], tmp_path / "model.so", TVM.Options(machine=OTHER))


def test_an_operator_that_tvm_lacks_is_named(tmp_path: Path) -> None:
    class Sorting(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(inputs)

    with pytest.raises(ExportError, match="bessel_j0"):
        RUNTIME.export(Sorting().eval(), SAMPLES[:1], tmp_path / "model.so", TVM.Options())


def test_a_description_of_another_library_is_refused(for_arm: Path, tmp_path: Path) -> None:
    """The library is machine code: a stranger's beside a known description is not even mapped."""
    (tmp_path / "model.so").write_bytes(for_arm.read_bytes() + b"\0")
    (tmp_path / "model.json").write_text(json.dumps(json.loads(for_arm.with_suffix(".json").read_text())))
    for open_it in (RUNTIME.inspect, lambda file: RUNTIME.load(file, 1)):
        with pytest.raises(ExportError, match="describes another library"):
            open_it(tmp_path / "model.so")
