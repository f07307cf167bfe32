# SPDX-License-Identifier: Apache-2.0
"""What each runtime's passes do to a file: calibrations, bit widths, what is refused; exact arenas."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgewright.config.file_passes import DynamicW8, Float16, PtqW8A8, PtqW8A16, WeightOnlyW4
from edgewright.errors import ExportError
from edgewright.integrations.runtimes.litert import LiteRT
from edgewright.integrations.runtimes.onnxruntime import OnnxRuntime
from edgewright.integrations.runtimes.tflite_micro import TFLiteMicro
from edgewright.integrations.runtimes.tflite_micro.arena import open_in_arena
from edgewright.quantize import answers as run_file
from edgewright.runtime import PassRequest, Runtime, quantize_input


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


class Sum(nn.Module):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.relu(inputs) + inputs


def written(runtime: Runtime, model: nn.Module, features: int, folder: Path) -> Path:
    runtime.export(model.eval(), np.zeros((1, features), np.float32), folder / f"model{runtime.suffix}", runtime.Options())
    return folder / f"model{runtime.suffix}"


@pytest.fixture(scope="module")
def spiky(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(runtime, Spiky(), 16, tmp_path_factory.mktemp("spiky"))


@pytest.fixture(scope="module")
def weightless(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(runtime, Sum(), 16, tmp_path_factory.mktemp("weightless"))


@pytest.fixture(scope="module")
def wide(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 4))
    return written(runtime, model, 64, tmp_path_factory.mktemp("wide"))


def answers(runtime: Runtime, file: Path, inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return run_file(runtime.load(file, 1), runtime.inspect(file), inputs)


def convert(runtime: Runtime, options: Any, parent: Path, inputs: np.ndarray[Any, Any], out: Path) -> dict[str, Any]:
    """Perform a pass; one that chooses does so on the second half of the inputs, as values."""
    half = len(inputs) // 2
    calibration, held_back = (inputs[:half], inputs[half:]) if getattr(options, "chooses", False) else (inputs, None)
    return runtime.passes[type(options)](PassRequest(parent, out, calibration, options, held_back, "regression")) or {}


def rmse(runtime: Runtime, file: Path, parent: Path, inputs: np.ndarray[Any, Any]) -> float:
    return float(np.sqrt(np.mean((answers(runtime, file, inputs) - answers(runtime, parent, inputs)) ** 2)))


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


def test_percentile_leaves_out_the_rare_activation(runtime: Runtime, tmp_path: Path) -> None:
    """One hidden unit in one sample of 512 is driven a hundred times as far as all others: fewer than one in ten thousand."""
    model, inputs = Spiky().eval(), np.random.default_rng(1).normal(size=(512, 16)).astype(np.float32)
    with torch.no_grad():
        model.hidden.weight[0], model.hidden.bias[0] = 0.0, -400.0
        model.hidden.weight[0, 0] = 100.0
    inputs[:, 0] = np.clip(inputs[:, 0], -3, 3)
    inputs[0, 0] = 5.0
    parent = tmp_path / f"model{runtime.suffix}"
    runtime.export(model, inputs[:1], parent, runtime.Options())
    errors = {}
    for calibration in ("minmax", "percentile"):
        out = tmp_path / f"{calibration}{runtime.suffix}"
        convert(runtime, PtqW8A8(calibration=calibration), parent, inputs, out)
        errors[calibration] = rmse(runtime, out, parent, inputs[1:64])
    assert errors["percentile"] < errors["minmax"] / 2


def test_auto_takes_the_calibration_that_fits(
    runtime: Runtime, spiky: Path, inputs: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    """Held-back samples are usual ones: what min-max spends on the wild calibration sample is lost on them."""
    out, same = (tmp_path / f"{name}{runtime.suffix}" for name in ("auto", "same"))
    chosen = convert(runtime, PtqW8A8(calibration="auto"), spiky, inputs, out)
    errors = {name: found["rmse"] for name, found in chosen["errors"].items()}
    assert errors.keys() == {"minmax", "entropy", "percentile"}
    assert chosen["calibration"] == min(errors, key=lambda name: errors[name]) == "entropy"
    half = len(inputs) // 2
    convert(runtime, PtqW8A8(calibration="entropy"), spiky, inputs[:half], same)
    assert out.read_bytes() == same.read_bytes()


def test_inputs_and_outputs_are_never_clipped(runtime: Runtime, tmp_path: Path) -> None:
    """Nor is what only has another shape: the wild sample comes through whole."""
    inputs = np.random.default_rng(2).normal(size=(400, 4, 8)).astype(np.float32)
    inputs[0, 0, 0] = 100.0
    model = nn.Sequential(nn.Flatten(), nn.Linear(32, 8, bias=False))
    with torch.no_grad():
        model[1].weight[:] = torch.eye(8, 32)
    parent, out = (tmp_path / f"{name}{runtime.suffix}" for name in ("model", "out"))
    runtime.export(model.eval(), inputs[:1], parent, runtime.Options())
    ready = np.moveaxis(inputs, 1, -1).copy() if runtime.inspect(parent).inputs[0].layout == "NLC" else inputs
    for calibration in ("entropy", "percentile"):
        convert(runtime, PtqW8A8(calibration=calibration), parent, ready, out)
        assert answers(runtime, out, ready[:1])[0, 0] == pytest.approx(100.0, rel=0.01)


def test_sixteen_bit_activations_are_closer_than_eight(
    runtime: Runtime, spiky: Path, inputs: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    errors = {}
    for options in (PtqW8A8(), PtqW8A16()):
        out = tmp_path / f"{options.name}{runtime.suffix}"
        convert(runtime, options, spiky, inputs[1:], out)
        errors[options.name] = rmse(runtime, out, spiky, inputs[1:64])
    assert errors["ptq_w8a16"] < errors["ptq_w8a8"] / 2
    dtype = "int16" if runtime.name == "litert" else "float32"
    assert {spec.dtype for spec in (*runtime.inspect(out).inputs, *runtime.inspect(out).outputs)} == {dtype}


@pytest.mark.parametrize("options", [DynamicW8(), WeightOnlyW4()], ids=lambda options: options.name)
def test_passes_on_weights_alone_need_no_calibration(runtime: Runtime, wide: Path, options: Any, tmp_path: Path) -> None:
    """A third of the size and less, float inputs and outputs, and nearly the same answers."""
    inputs = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    out = tmp_path / f"out{runtime.suffix}"
    chosen = convert(runtime, options, wide, inputs[:0], out)
    assert out.stat().st_size < wide.stat().st_size / 3
    assert {spec.dtype for spec in (*runtime.inspect(out).inputs, *runtime.inspect(out).outputs)} == {"float32"}
    spread = answers(runtime, wide, inputs).std()
    assert rmse(runtime, out, wide, inputs) < (0.02 if isinstance(options, DynamicW8) else 0.2) * spread
    if isinstance(options, WeightOnlyW4):
        assert chosen["int4"] == ["0", "2"]  # the last one has 256 weights


ALL_PASSES = [PtqW8A8(), PtqW8A16(), DynamicW8(), WeightOnlyW4(), Float16()]


@pytest.mark.parametrize("options", ALL_PASSES, ids=lambda options: options.name)
def test_a_model_without_weights_has_nothing_to_convert(
    runtime: Runtime, weightless: Path, options: Any, inputs: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    with pytest.raises(ExportError) as refused:
        convert(runtime, options, weightless, inputs, tmp_path / f"out{runtime.suffix}")
    assert refused.value.where == str(weightless)
    assert f"leave {options.name} out of this target's ladder" in refused.value.to_do


def test_int4_of_a_convolutional_network_is_refused_by_name(runtime: Runtime, tmp_path: Path) -> None:
    parent, out = (tmp_path / f"{name}{runtime.suffix}" for name in ("model", "out"))
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 64, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.append(nn.Linear(64, 4))
    runtime.export(model.eval(), np.ones((1, 3, 8, 8), np.float32), parent, runtime.Options())
    with pytest.raises(
        ExportError, match=r"large enough \(1024 weights.*: 5 is (64 x 4|4 x 64), its 2 convolutions stay float"
    ):
        convert(runtime, WeightOnlyW4(), parent, np.ones((0, 3, 8, 8), np.float32), out)


def test_onnx_blocks_are_as_long_as_asked(tmp_path: Path) -> None:
    """Shorter blocks have more scales: larger and more exact."""
    runtime, inputs = OnnxRuntime(), np.random.default_rng(0).normal(size=(64, 128)).astype(np.float32)
    parent, out = tmp_path / "model.onnx", tmp_path / "out.onnx"
    torch.manual_seed(0)
    runtime.export(nn.Linear(128, 64).eval(), inputs[:1], parent, runtime.Options())
    found = {}
    for block_size in (16, 128):
        chosen = convert(runtime, WeightOnlyW4(block_size=block_size), parent, inputs[:0], out)
        assert chosen["block_size"] == block_size
        found[block_size] = out.stat().st_size, rmse(runtime, out, parent, inputs)
    assert found[16][0] > found[128][0]
    assert found[16][1] < found[128][1]


def test_litert_has_no_blocks(dense: "Micro", inputs: np.ndarray[Any, Any], tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no blocks of 64 weights"):
        convert(LiteRT(), WeightOnlyW4(block_size=64), dense.float, inputs[:0], tmp_path / "out.tflite")


def test_micro_has_no_pass_that_its_kernels_cannot_execute() -> None:
    assert set(TFLiteMicro().passes) == {PtqW8A8, PtqW8A16}


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

    def quantize(self, options: PtqW8A8 | PtqW8A16) -> Path:
        self.runtime.passes[type(options)](PassRequest(self.float, self.int8, self.inputs, options))
        return self.int8


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Micro:
    return Micro(tmp_path_factory.mktemp("dense"), nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4)))


def test_the_arena_is_exact(dense: Micro, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file runs in an arena of just the bytes that are reported, and in none that is smaller."""
    file = dense.quantize(PtqW8A8())
    session = dense.runtime.load(file, 1)
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


@pytest.mark.parametrize("options", [PtqW8A8(), PtqW8A16()], ids=lambda options: options.name)
def test_micro_and_litert_answer_alike(options: PtqW8A8 | PtqW8A16, dense: Micro) -> None:
    """Within two output steps: the kernels round differently."""
    file = dense.quantize(options)
    ready = quantize_input(dense.inputs, dense.runtime.inspect(file).inputs[0])
    ours, theirs = dense.runtime.load(file, 1), LiteRT().load(file, 1)
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
