# SPDX-License-Identifier: Apache-2.0
"""ExecuTorch: the contract of runtimes, the scales of training in the file, delegates that are only lowered, refusals."""

import gc
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from artifact_pairs import assert_whole
from click.testing import CliRunner
from model_passes import trained
from torch import nn

from edgewright.cli import main
from edgewright.config import ReleaseConfig
from edgewright.config.file_passes import PtqW8A8
from edgewright.config.model import ModelSpec, Training
from edgewright.config.recipe import Rung
from edgewright.errors import ConfigError, ExportError, ToolkitMissing
from edgewright.export import apply_pass, export_model
from edgewright.integrations.frameworks.pytorch.models import resnet8
from edgewright.integrations.frameworks.pytorch.quantized import calibrate, prepare
from edgewright.integrations.runtimes.executorch import ExecuTorch, delegates, payload, program
from edgewright.integrations.runtimes.executorch.lower import layers
from edgewright.preflight import preflight
from edgewright.quantize import answers
from edgewright.runtime import PassRequest
from edgewright.testing import RuntimeContract
from edgewright.testing.patterns import three_classes

SAMPLE = (3, 8, 6)
EXECUTORCH = ExecuTorch()


class TestExecuTorch(RuntimeContract):
    runtime = ExecuTorch
    model = ModelSpec(architecture="mlp", options={"hidden": [32]}, training=Training(epochs=4, batch_size=16))
    sample = (24,)


@pytest.fixture(scope="module")
def inputs() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=(32, *SAMPLE)).astype(np.float32)


@pytest.fixture(scope="module")
def network(inputs: np.ndarray[Any, Any]) -> nn.Module:
    """Convolutions with batch normalization, sums of two branches, a mean, a linear layer."""
    torch.manual_seed(0)
    model = resnet8(SAMPLE, 3, width=4)
    del model[4]  # the third block is as the second
    model[-1] = nn.Linear(8, 3)
    with torch.no_grad():
        model(torch.from_numpy(inputs))  # batch normalization gets statistics
    return model.eval()


@pytest.fixture(scope="module")
def float_file(network: nn.Module, inputs: np.ndarray[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("float") / "model.pte"
    EXECUTORCH.export(network, inputs[:1], file, EXECUTORCH.Options())
    return file


def steps_apart(file: Path, model: Any, inputs: np.ndarray[Any, Any]) -> float:
    with torch.no_grad():
        wanted = np.concatenate([model(torch.from_numpy(sample[None])).numpy() for sample in inputs])
    step = EXECUTORCH.inspect(file).outputs[0].lsb
    assert step
    return float(np.abs(answers(EXECUTORCH.load(file, 1), EXECUTORCH.inspect(file), inputs) - wanted).max() / step)


def test_the_scales_of_training_are_the_scales_of_the_file(
    network: nn.Module, inputs: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    """Read in the file: each scale that XNNPACK computes activations with is one of the trained graph's, zero point and all."""
    prepared, file = prepare(network, SAMPLE), tmp_path / "model.pte"
    calibrate(prepared, torch.from_numpy(inputs), network)
    EXECUTORCH.export_quantized(prepared, inputs[:1], file, EXECUTORCH.Options())

    trained = [
        module for name, module in prepared.named_modules() if hasattr(module, "zero_point") and module.scale.numel() == 1
    ]
    wanted = {(np.float32(one.scale.item()), int(one.zero_point)) for one in trained}
    read = program.read(file)
    found = {
        (np.float32(value["scale"]), value["zero_point"])
        for graph in payload.graphs(read, program.plan_of(read)).values()
        for value in payload.values(graph).values()
        if isinstance(value.get("scale"), float)
    }
    assert len(found) > len(layers(file)[0])  # that of the input, and one a layer
    assert found <= wanted
    assert layers(file)[1] == []
    assert steps_apart(file, prepared, inputs) <= 2


def test_every_layer_of_a_network_is_quantized(
    network: nn.Module, float_file: Path, inputs: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    out = tmp_path / "int8.pte"
    EXECUTORCH.passes[PtqW8A8](PassRequest(float_file, out, inputs, PtqW8A8(), model=network))
    integer, others = layers(out)
    assert (len(integer), others) == (7, [])
    exact, rounded = (answers(EXECUTORCH.load(file, 1), EXECUTORCH.inspect(file), inputs).ravel() for file in (float_file, out))
    assert np.corrcoef(exact, rounded)[0, 1] > 0.98


def test_a_candidate_becomes_artifacts(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The float one as the pipeline makes it, in a process of its own; the int8 one in this, which has the toolkit imported."""
    data = three_classes(tmp_path / "data", (8, 6, 3))
    candidate = trained("mlp", data, tmp_path / "candidate", {"hidden": [64]}, epochs=1)
    exported = export_model(candidate, data, "executorch", {}, tmp_path / "float")
    request.getfixturevalue("in_this_process")
    quantized = apply_pass(exported, data, "executorch", Rung(passes=(PtqW8A8(samples=16),)), tmp_path / "int8", candidate)
    assert_whole(exported, quantized, candidate, data, "NCHW")


def test_a_file_alone_cannot_be_quantized(float_file: Path, inputs: np.ndarray[Any, Any], tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="quantizes a model and not its file"):
        EXECUTORCH.passes[PtqW8A8](PassRequest(float_file, tmp_path / "int8.pte", inputs, PtqW8A8()))


@pytest.mark.parametrize(("delegate", "backend"), [("vulkan", "VulkanBackend"), ("coreml", "CoreMLBackend")])
def test_other_delegates_are_lowered_and_not_run(delegate: str, backend: str, tmp_path: Path) -> None:
    """The file is whole and says what it takes; what would need an answer of it is refused in words."""
    file, example, options = tmp_path / "model.pte", np.ones((1, 8), np.float32), EXECUTORCH.Options(delegate=delegate)
    model = nn.Sequential(nn.Linear(8, 4), nn.ReLU()).eval()
    EXECUTORCH.export(model, example, file, options)

    assert EXECUTORCH.inspect(file).inputs[0].shape == (1, 8)
    with pytest.raises(ExportError, match=f"cannot run here: the file was lowered for {backend}"):
        EXECUTORCH.load(file, 1)
    with pytest.raises(ExportError, match="for XNNPACK alone"):
        EXECUTORCH.passes[PtqW8A8](PassRequest(file, tmp_path / "int8.pte", example, PtqW8A8(), model=model))
    with pytest.raises(ExportError, match="for XNNPACK alone"):
        EXECUTORCH.export_quantized(model, example, file, options)
    assert not [name for name in sys.modules if name.startswith("executorch.backends.qualcomm")]  # it starts a download


def test_a_release_of_what_cannot_run_here_is_refused_before_training() -> None:
    target = {"name": "gpu", "runtime": "executorch", "options": {"delegate": "vulkan"}, "ladder": ["ptq_w8a8"]}
    config = ReleaseConfig.model_validate(
        {"name": "r", "data": {"source": "digits"}, "model": {"architecture": "mlp"}, "targets": [target]}
    )
    with pytest.raises(ConfigError, match="'vulkan' is lowered here and cannot run here") as refused:
        preflight(config)
    assert "device: local" in refused.value.where


def test_core_ml_without_its_toolkit_says_the_pip_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(name: str) -> ModuleSpec | None:
        return None if name == "coremltools" else ModuleSpec(name, None)

    monkeypatch.setattr(delegates, "find_spec", found)
    with pytest.raises(ToolkitMissing, match=r"needs coremltools.*\n.*pip install 'coremltools"):
        delegates.partitioner("coreml")


def test_operators_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ExecuTorch cannot lower, and one for which the device's ExecuTorch was built without a kernel."""

    class Inverse(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.linalg.inv(inputs)  # type: ignore[no-any-return]

    with pytest.raises(ExportError, match="inv"):
        EXECUTORCH.export(Inverse().eval(), np.eye(4, dtype=np.float32)[None], tmp_path / "model.pte", EXECUTORCH.Options())

    class Summed(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.cumsum(torch.relu(inputs), 1)

    EXECUTORCH.export(Summed().eval(), np.ones((1, 4), np.float32), tmp_path / "summed.pte", EXECUTORCH.Options())
    from executorch.extension.pybindings import portable_lib

    monkeypatch.setattr(portable_lib, "_get_operator_names", list)
    with pytest.raises(ExportError, match=r"no kernel here for operator aten::cumsum\.out"):
        EXECUTORCH.load(tmp_path / "summed.pte", 1)


def test_threads_are_as_asked_while_a_file_is_open(float_file: Path) -> None:
    from executorch.extension.pybindings import portable_lib

    gc.collect()
    for threads in (2, 1):
        session = EXECUTORCH.load(float_file, threads)
        assert portable_lib._threadpool_get_thread_count() == threads
        with pytest.raises(ExportError, match="a file is open in this process with"):
            EXECUTORCH.load(float_file, 3)
        del session
        gc.collect()


def test_a_file_that_others_lowered_is_held_against_torchs_outputs(
    network: nn.Module, inputs: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    """Lowered without a delegate, as a first try is; the reference is what torch answers, kept with numpy alone."""
    from executorch.exir import to_edge_transform_and_lower

    lowered = to_edge_transform_and_lower(torch.export.export(network, (torch.from_numpy(inputs[:1]),)))
    (tmp_path / "model.pte").write_bytes(lowered.to_executorch().buffer)
    with torch.no_grad():
        outputs = network(torch.from_numpy(inputs)).numpy()
    np.savez(tmp_path / "data.npz", x=inputs, y=outputs.argmax(axis=1))
    np.savez(tmp_path / "torch.npz", outputs=outputs)
    asked = ["validate", "model.pte", "--runtime", "executorch", "--data", "data.npz", "--reference", "torch.npz"]
    files = [str(tmp_path / one) if "." in one else one for one in asked]
    result = CliRunner().invoke(main, [*files, "--device", "null"])
    assert "✓ parity" in result.output, result.output
    assert "✓ sanity" in result.output
    assert "100.00 %" in result.output
