# SPDX-License-Identifier: Apache-2.0
"""The packed probe answers as the local device does, on a Python that has numpy and the runtime's own module alone."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from bare_python import bare_python

from edgewright.artifact import ArtifactManifest
from edgewright.config import Preprocessing
from edgewright.config.data import MFCC
from edgewright.device import ProbePlan
from edgewright.errors import ConfigError, DeviceError
from edgewright.integrations.devices.local import LocalDevice
from edgewright.integrations.devices.null import NullDevice
from edgewright.plugins import create
from edgewright.probe import lay_out, new_request, read_answer
from edgewright.probe_archive import onboard_of, write_probe

SAMPLES = np.random.default_rng(0).integers(-(2**15), 2**15, (5, 4000), dtype=np.int16)
MODULES = {
    "onnxruntime": ("onnxruntime",),
    "litert": ("ai_edge_litert", "flatbuffers"),
    "tflite_micro": ("tflite_micro", "flatbuffers", "yaml"),
    "null": (),
    "openvino": ("openvino",),
    "executorch": (
        "executorch",
        "torch",
        "torchgen",
        "torchao",
        "functorch",
        "flatbuffers",
        "ruamel",
        "tabulate",
        "sympy",
        "mpmath",
        "networkx",
        "jinja2",
        "markupsafe",
        "typing_extensions",
        "filelock",
        "optree",
        "tqdm",
    ),
}


def exported(runtime: str, folder: Path) -> tuple[Path, ArtifactManifest]:
    """An untrained matrix over MFCCs of a waveform: front end, layout and runtime have to work together."""
    import torch

    front_end = MFCC(sample_rate=8000, bands=20)
    preprocessing = Preprocessing(scale=1 / 2**15, mean=(-1.0,), std=(2.0,), layout="L", front_end=front_end)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(24 * 10, 3)).eval()
    executing = create("runtimes", runtime)
    file = folder / f"model{executing.suffix}"
    executing.export(model, np.zeros((1, 1, 24, 10), np.float32), file, executing.Options())
    signature = executing.inspect(file)
    return file, ArtifactManifest(
        format=executing.format, file=file.name, size_bytes=1, recipe="float32", task="classification",
        inputs=signature.inputs, outputs=signature.outputs, preprocessing=preprocessing, toolchain={}, parent="",
    )  # fmt: skip


def served(python: Path, runtime: str, file: Path, manifest: ArtifactManifest, folder: Path):
    """Serve a request with the packed probe."""
    pack, needs = onboard_of(runtime)
    write_probe(pack, folder / "probe.pyz")
    plan = ProbePlan(runtime=runtime, invocations=3, outputs=True)
    module, install = pack.modules[0], pack.install
    request = new_request(str(file), manifest, plan, module=module, needs=needs, install=install)
    (folder / "run").mkdir()
    lay_out(request, SAMPLES, folder / "run")
    keep, link = os.pipe()
    try:
        done = subprocess.run(
            [python, folder / "probe.pyz", "run", folder / "run", "60"], stdin=keep, capture_output=True, text=True, check=False
        )
    finally:
        os.close(link)
        os.close(keep)
    assert done.returncode in (0, 3), done.stderr
    return read_answer(folder / "run", request)


@pytest.mark.parametrize("runtime", MODULES)
def test_a_device_with_numpy_and_the_runtime_answers_as_the_host_does(runtime: str, tmp_path: Path) -> None:
    file, manifest = exported(runtime, tmp_path)
    facts, outputs = served(bare_python(tmp_path / "device", "numpy", *MODULES[runtime]), runtime, file, manifest, tmp_path)
    plan = ProbePlan(runtime=runtime, outputs=True)
    expected = NullDevice().probe(file, manifest, SAMPLES, plan, NullDevice.Options())[1]
    np.testing.assert_array_equal(outputs, expected)
    assert len(facts.latencies_ms) == 3
    assert (facts.arena_bytes is not None) == (runtime == "tflite_micro")


def test_an_engine_is_built_on_the_device_before_it_is_timed(gpu_stand_in: Path, tmp_path: Path) -> None:
    """Once for the file: it is opened again by whoever runs it next."""
    file, manifest = exported("tensorrt", tmp_path)
    modules = ("numpy", "tensorrt", "onnxruntime", "onnx", "google", "ml_dtypes", "typing_extensions")
    facts, outputs = served(bare_python(tmp_path / "device", *modules), "tensorrt", file, manifest, tmp_path)
    plan = ProbePlan(runtime="tensorrt", outputs=True)
    expected = NullDevice().probe(file, manifest, SAMPLES, plan, NullDevice.Options())[1]
    np.testing.assert_array_equal(outputs, expected)
    assert len(facts.latencies_ms) == 3
    assert gpu_stand_in.read_text() == "built\n"


def test_a_machine_without_the_hardware_answers_in_its_stead(tmp_path: Path) -> None:
    """The packed probe would ask for TensorRT, which other machines have."""
    file, manifest = exported("tensorrt", tmp_path)
    plan = ProbePlan(runtime="tensorrt", outputs=True)
    outputs = LocalDevice().probe(file, manifest, SAMPLES, plan, LocalDevice.Options())[1]
    np.testing.assert_array_equal(outputs, NullDevice().probe(file, manifest, SAMPLES, plan, NullDevice.Options())[1])


@pytest.mark.parametrize(
    ("runtime", "line"),
    [
        ("onnxruntime", "-m pip install onnxruntime"),
        (
            "tensorrt",
            r"pip install tensorrt --extra-index-url \S+ \(on a Jetson instead: sudo apt-get install tensorrt python3-lib",
        ),
    ],
)
def test_a_runtime_that_the_device_lacks_is_told_with_the_line_that_brings_it(runtime: str, line: str, tmp_path: Path) -> None:
    file, manifest = exported(runtime, tmp_path)
    with pytest.raises(DeviceError, match=rf"needs {runtime}, which is not installed on the device[\s\S]*{line}"):
        served(bare_python(tmp_path / "device", "numpy"), runtime, file, manifest, tmp_path)


def test_a_runtime_for_the_host_alone_is_refused_before_anything_is_sent(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "host_only.py").write_text(
        "from edgewright.testing.device_contract import AddingRuntime\nclass Own(AddingRuntime):\n    onboard = None\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="runs only where edgewright is installed"):
        onboard_of("host_only:Own")
