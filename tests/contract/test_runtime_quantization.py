# SPDX-License-Identifier: Apache-2.0
"""What each runtime's quantization does to a file: calibration by entropy, integer inputs and outputs, exact arenas."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgewright.config.file_passes import PtqW8A8
from edgewright.errors import ExportError
from edgewright.integrations.runtimes.litert import LiteRT
from edgewright.integrations.runtimes.onnxruntime import OnnxRuntime
from edgewright.integrations.runtimes.tflite_micro import TFLiteMicro
from edgewright.integrations.runtimes.tflite_micro.arena import open_in_arena
from edgewright.runtime import PassRequest, Runtime, dequantize_output, quantize_input

torch.set_num_threads(2)


class Spiky(nn.Module):
    """One hidden layer whose activations are small, but for the rare sample that drives them far out."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.hidden, self.out = nn.Linear(16, 64), nn.Linear(64, 4)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.out(torch.relu(self.hidden(inputs))))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def inputs() -> np.ndarray[Any, Any]:
    drawn = np.random.default_rng(0).normal(size=(256, 16)).astype(np.float32)
    drawn[0] *= 40
    return drawn


@pytest.fixture(scope="module", params=[OnnxRuntime, LiteRT], ids=lambda runtime: runtime.name)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    return request.param()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def spiky(runtime: Runtime, inputs: np.ndarray[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("spiky") / f"model{runtime.suffix}"
    runtime.export(Spiky().eval(), inputs[:1], file, runtime.Options())
    return file


def answers(runtime: Runtime, file: Path, inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    signature, session = runtime.inspect(file), runtime.load(file, 1)
    ready = quantize_input(inputs, signature.inputs[0])
    return dequantize_output(np.concatenate([session.run(sample[None]) for sample in ready]), signature.outputs[0])


def test_entropy_spends_its_levels_on_the_usual_activations(
    runtime: Runtime, spiky: Path, inputs: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    """One wild calibration sample stretches min-max ranges; by entropy the usual samples stay closer to the float model."""
    errors = {}
    for calibration in ("minmax", "entropy"):
        out = tmp_path / f"{calibration}{runtime.suffix}"
        runtime.passes[PtqW8A8](PassRequest(spiky, out, inputs, PtqW8A8(calibration=calibration)))
        usual = inputs[1:64]
        errors[calibration] = np.abs(answers(runtime, out, usual) - answers(runtime, spiky, usual)).mean()
    assert errors["entropy"] < errors["minmax"]


def test_per_channel_weights_have_a_scale_a_channel(
    runtime: Runtime, spiky: Path, inputs: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    sizes = {}
    for per_channel in (True, False):
        out = tmp_path / f"{per_channel}{runtime.suffix}"
        runtime.passes[PtqW8A8](PassRequest(spiky, out, inputs[1:], PtqW8A8(per_channel=per_channel)))
        sizes[per_channel] = out.stat().st_size
    assert sizes[True] > sizes[False]


def test_onnx_files_keep_float_inputs_and_hold_no_paths(inputs: np.ndarray[Any, Any], tmp_path: Path) -> None:
    runtime, file, out = OnnxRuntime(), tmp_path / "model.onnx", tmp_path / "int8.onnx"
    runtime.export(Spiky().eval(), inputs[:1], file, runtime.Options())
    runtime.passes[PtqW8A8](PassRequest(file, out, inputs, PtqW8A8()))
    assert {spec.dtype for spec in (*runtime.inspect(out).inputs, *runtime.inspect(out).outputs)} == {"float32"}
    for written in (file, out):
        assert str(Path(__file__).parent).encode() not in written.read_bytes()


class Micro:
    """A model for the micro interpreter, as a float and as an int8 file."""

    def __init__(self, folder: Path, model: nn.Module) -> None:
        self.runtime = TFLiteMicro()
        self.inputs = np.random.default_rng(0).normal(size=(32, 16)).astype(np.float32)
        self.float, self.int8 = folder / "float.tflite", folder / "int8.tflite"
        self.runtime.export(model.eval(), self.inputs[:1], self.float, self.runtime.Options())

    def quantize(self) -> Path:
        self.runtime.passes[PtqW8A8](PassRequest(self.float, self.int8, self.inputs, PtqW8A8()))
        return self.int8


def test_the_arena_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file runs in an arena of just the bytes that are reported, and in none that is smaller."""
    micro = Micro(tmp_path, nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4)))
    file = micro.quantize()
    session = micro.runtime.load(file, 1)
    size = session.arena_bytes()
    assert size is not None

    arena = "edgewright.integrations.runtimes.tflite_micro.arena"
    monkeypatch.setattr(f"{arena}._FIRST_ARENA", size)
    monkeypatch.setattr(f"{arena}._LARGEST_ARENA", size)
    assert open_in_arena(file)[1] == size
    monkeypatch.setattr(f"{arena}._FIRST_ARENA", size - 16)
    monkeypatch.setattr(f"{arena}._LARGEST_ARENA", size - 16)
    with pytest.raises(ExportError, match="does not open the file in an arena"):
        open_in_arena(file)


def test_an_arena_of_many_megabytes_is_found(tmp_path: Path) -> None:
    micro = Micro(tmp_path, nn.Sequential(nn.Linear(16, 16), nn.Unflatten(1, (1, 4, 4)), nn.Upsample(scale_factor=256)))
    session = micro.runtime.load(micro.float, 1)
    size = session.arena_bytes()
    assert size is not None
    assert size > 4 * 1024 * 1024


def test_an_operator_without_a_kernel_is_named(tmp_path: Path) -> None:
    micro = Micro(tmp_path, nn.Sequential(nn.Linear(16, 8), nn.GELU(), nn.Linear(8, 4)))
    with pytest.raises(ExportError, match="operator GELU is not supported"):
        micro.runtime.load(micro.float, 1)


def test_micro_and_litert_answer_alike(tmp_path: Path) -> None:
    """Within two output steps: the kernels round differently."""
    micro = Micro(tmp_path, nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4)))
    file = micro.quantize()
    ready = quantize_input(micro.inputs, micro.runtime.inspect(file).inputs[0])
    ours, theirs = micro.runtime.load(file, 1), LiteRT().load(file, 1)
    apart = [np.abs(ours.run(sample[None]).astype(int) - theirs.run(sample[None])).max() for sample in ready]
    assert max(apart) <= 2


@pytest.mark.parametrize(("runtime_class", "named"), [(OnnxRuntime, "lgamma"), (LiteRT, "lgamma")])
def test_an_operator_the_converter_does_not_know_is_named(runtime_class: type[Runtime], named: str, tmp_path: Path) -> None:
    class Gamma(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.lgamma(inputs)

    runtime = runtime_class()
    with pytest.raises(ExportError, match=named):
        runtime.export(Gamma().eval(), np.ones((1, 16), np.float32), tmp_path / f"out{runtime.suffix}", runtime.Options())
