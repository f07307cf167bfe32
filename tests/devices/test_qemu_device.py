# SPDX-License-Identifier: Apache-2.0
"""Emulated processors: real runtimes answer there as here, a file that saturates is found, and what is missing is said."""

from pathlib import Path
from typing import Any

import arm_root
import numpy as np
import pytest
from linear_files import PREPROCESSING, Model, linear_model, onnx_file, ranges, tflite_file

from edgewright.artifact import ArtifactManifest
from edgewright.bench import bench_of
from edgewright.config import Budget, Measuring, Target
from edgewright.config.file_passes import PtqW8A8
from edgewright.config.gate import ParityLimits
from edgewright.device import Device, ProbePlan
from edgewright.errors import ConfigError, DeviceError, ToolkitMissing
from edgewright.gate.parity import parity_findings
from edgewright.integrations.devices.null import NullDevice
from edgewright.integrations.devices.qemu import QemuAarch64, QemuDevice, QemuX86, debian, root, wheels
from edgewright.integrations.runtimes.onnxruntime.static import to_static
from edgewright.parity import compare_outputs
from edgewright.plugins import create
from edgewright.runtime import PassRequest
from edgewright.testing.device_contract import FLOAT, IMAGES, adding

SAMPLES = 20


@pytest.fixture(scope="module", autouse=True)
def _prepared() -> None:
    arm_root.prepare()


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return linear_model(tmp_path_factory.mktemp("linear"))


def answers(device: Device, runtime: str, file: Path, linear: Model, **options: Any) -> np.ndarray:
    """Outputs of the first validation samples."""
    executing = create("runtimes", runtime)
    signature = executing.inspect(file)
    manifest = ArtifactManifest(
        format=executing.format, file=file.name, size_bytes=1, recipe="int8", task="classification",
        inputs=signature.inputs, outputs=signature.outputs, preprocessing=PREPROCESSING, toolchain={}, parent="",
    )  # fmt: skip
    stored, plan = linear.dataset.stored("validation")[:SAMPLES], ProbePlan(runtime=runtime, outputs=True)
    outputs: np.ndarray = device.probe(file, manifest, stored, plan, device.Options.model_validate(options))[1]
    return outputs


def onnx_int8(linear: Model, folder: Path) -> Path:
    onnx_file(folder / "float.onnx", linear)
    inputs = linear.dataset.inputs("calibration", "NCHW")
    to_static(PassRequest(folder / "float.onnx", folder / "int8.onnx", inputs, PtqW8A8()))
    return folder / "int8.onnx"


def saturating(linear: Model) -> Model:
    """All logits shifted by the same sum over the pixels: no answer changes, and all weights are large and positive."""
    return linear._replace(weight=linear.weight + 4 * np.abs(linear.weight).max())


@pytest.mark.parametrize(("runtime", "cpu"), [("onnxruntime", "cortex-a72"), ("litert", "cortex-a76")])
def test_int8_files_answer_on_arm_bit_by_bit_what_they_answer_here(
    runtime: str, cpu: str, linear: Model, tmp_path: Path
) -> None:
    file = onnx_int8(linear, tmp_path) if runtime == "onnxruntime" else tmp_path / "int8.tflite"
    if runtime == "litert":
        tflite_file(file, linear, ranges(linear))
    here = answers(NullDevice(), runtime, file, linear)
    np.testing.assert_array_equal(answers(QemuAarch64(), runtime, file, linear, cpu=cpu), here)
    assert (here.argmax(axis=1) == linear.outputs[:SAMPLES].argmax(axis=1)).mean() > 0.9


def test_a_file_that_saturates_is_caught_and_right_with_uint8_weights(linear: Model, tmp_path: Path) -> None:
    """On the processor without VNNI most answers are wrong, and the gate says why; Arm sums in 32 bits."""
    file, exact = onnx_int8(saturating(linear), tmp_path), tmp_path / "uint8.onnx"
    expected = answers(QemuAarch64(), "onnxruntime", file, linear)
    wrong = answers(QemuX86(), "onnxruntime", file, linear)
    parity = compare_outputs(wrong, expected, "classification", create("runtimes", "onnxruntime").inspect(file).outputs[0])
    findings = parity_findings(parity, ParityLimits(), QemuX86().facts(1, QemuX86().Options()).saturates)
    assert {finding.outcome for finding in findings} == {"fail"}
    assert "store weights as uint8" in findings[-1].reason
    assert create("runtimes", "onnxruntime").without_saturation(file, exact) == {"weights": "uint8", "layers": 1}
    np.testing.assert_array_equal(answers(QemuX86(), "onnxruntime", exact, linear), expected)


def test_nothing_is_left_to_change_in_a_file_of_uint8_weights(linear: Model, tmp_path: Path) -> None:
    runtime, again = create("runtimes", "onnxruntime"), tmp_path / "again.onnx"
    assert runtime.without_saturation(onnx_int8(linear, tmp_path), tmp_path / "uint8.onnx")
    assert runtime.without_saturation(tmp_path / "uint8.onnx", again) == {}
    assert not again.exists()


def added(text: str, folder: Path, runtime: str = "edgewright.testing.device_contract:AddingRuntime") -> Any:
    """Probe a file of the contract's runtime on Arm."""
    file = folder / "model.json"
    file.write_bytes(text.encode("latin-1"))
    plan = ProbePlan(runtime=runtime, outputs=True)
    return QemuAarch64().probe(file, adding(FLOAT), IMAGES, plan, QemuAarch64.Options(timeout=60))


def test_machine_code_of_the_host_is_refused_there(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="holds machine code for x86-64, and this machine is aarch64"):
        added("\x7fELF\x02\x01\x01" + "\0" * 9 + "\x03\0\x3e\0", tmp_path)


def test_an_emulator_that_dies_says_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dying_session.py").write_text(
        "import os, sys\ndef open_session(file, threads):\n"
        "    print('about to dereference null', file=sys.stderr, flush=True)\n    os.abort()\n"
    )
    (tmp_path / "dying.py").write_text(
        "from edgewright.runtime import Onboard\nfrom edgewright.testing.device_contract import AddingRuntime\n"
        "class Dying(AddingRuntime):\n    onboard = Onboard(('dying_session',), 'pip install numpy')\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeviceError, match=r"crashed with SIGABRT[\s\S]*about to dereference null"):
        added("1.0", tmp_path, "dying:Dying")


def test_a_runtime_that_the_root_lacks_is_told_with_the_line_that_brings_it() -> None:
    with pytest.raises(ConfigError, match="edgewright device prepare qemu-aarch64 --runtime openvino"):
        QemuAarch64().check("openvino", QemuAarch64.Options())
    with pytest.raises(ConfigError, match="runs only where edgewright is installed"):
        QemuAarch64().check("coreml", QemuAarch64.Options())


def test_a_root_that_is_not_prepared_is_said_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"there is nothing yet[\s\S]*edgewright device prepare qemu-aarch64"):
        QemuAarch64().check("litert", QemuAarch64.Options())
    with pytest.raises(DeviceError, match="edgewright device prepare qemu-aarch64"):
        added("1.0", tmp_path)


def test_a_version_that_is_not_the_one_installed_here_is_prepared_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "version", lambda name: "99.1")
    with pytest.raises(ConfigError, match=r"lacks onnxruntime==99\.1, as installed here"):
        QemuAarch64().check("onnxruntime", QemuAarch64.Options())


def test_a_preparation_that_is_cut_short_leaves_nothing_that_is_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(debian, "unpack", lambda architecture, out, scratch: (out / "usr").mkdir())
    fetched = []

    def fetch(requirements: tuple[str, ...], machine: str, out: Path) -> None:
        fetched.append(requirements)
        (out / "half").touch()
        if len(fetched) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(root, "fetch", fetch)
    with pytest.raises(KeyboardInterrupt):
        QemuAarch64().prepare(())
    with pytest.raises(ConfigError, match="there is nothing yet"):
        QemuAarch64().check("litert", QemuAarch64.Options())
    assert "is prepared" in QemuAarch64().prepare(())
    QemuAarch64().check("litert", QemuAarch64.Options())
    QemuAarch64().prepare(())
    assert len(fetched) == 2  # what is there is not fetched again


def test_wheels_that_cannot_be_fetched_are_said_in_pip_s_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(DeviceError, match=r"no wheels for aarch64[\s\S]*No matching distribution found for onnxruntime"):
        wheels.fetch(("onnxruntime==1.0",), "aarch64", tmp_path)


@pytest.mark.parametrize("device", [QemuAarch64, QemuX86])
def test_without_qemu_the_apt_line_is_said(device: type[QemuDevice], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolkitMissing, match=r"needs qemu-\S+-static[\s\S]*apt-get install \S+ \S+ qemu-user-static"):
        create("devices", device.name)


@pytest.mark.parametrize("device", ["qemu-aarch64", "qemu-x86_64"])
@pytest.mark.parametrize(
    "asked", [{"budget": Budget(latency_p95_ms=5)}, {"budget": Budget(peak_memory_bytes=5)}, {"objective": "fastest"}]
)
def test_limits_that_an_emulator_cannot_keep_are_refused(device: str, asked: dict[str, Any]) -> None:
    target = Target(name="board", runtime="onnxruntime", device=device, **asked)
    with pytest.raises(ConfigError, match="nothing of time, memory or energy"):
        bench_of(target, Measuring())
    assert not bench_of(target.model_copy(update={"budget": Budget(), "objective": None}), Measuring()).timed


def test_processors_without_a_name_are_refused() -> None:
    """With QEMU 7.2's `max`, LiteRT's int8 kernels answer wrongly."""
    with pytest.raises(ConfigError, match="'cortex-a53', 'cortex-a72'"):
        bench_of(Target(name="board", runtime="litert", device="qemu-aarch64", device_options={"cpu": "max"}), Measuring())
