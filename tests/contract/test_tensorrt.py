# SPDX-License-Identifier: Apache-2.0
"""TensorRT: what stands in its files, what is refused of others, and what is said of the numbers.

Here is no GPU: files are run on the processor, and the calls of a session are made to a stand-in.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from shallow import SHALLOW
from torch import nn

from edgewright.bench import bench_of
from edgewright.config import Measuring, Target
from edgewright.config.file_passes import Float16, PtqW8A8
from edgewright.errors import ConfigError, ExportError
from edgewright.integrations.runtimes.onnxruntime import OnnxRuntime
from edgewright.integrations.runtimes.tensorrt import TensorRT, session
from edgewright.integrations.runtimes.tensorrt.emulated import open_emulated
from edgewright.plugins import create
from edgewright.runtime import PassRequest, Runtime
from edgewright.testing import RuntimeContract

SAMPLES = np.random.default_rng(0).normal(size=(32, 2, 8, 6)).astype(np.float32)


class TestTensorRT(RuntimeContract):
    runtime = TensorRT
    model = SHALLOW
    quantizes_outputs = False  # the sums of the last layer are left in float


class Net(nn.Module):
    """Two convolutions, a short cut around the second, and a matrix; what is clamped is never below zero."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(2, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Linear(8, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.first(inputs))
        both = torch.relu(self.second(first) + first)
        return self.last(both.mean((2, 3)))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("float") / "model.onnx"
    TensorRT().export(Net().eval(), SAMPLES[:1], file, TensorRT.Options())
    return file


def quantized(parent: Path, out: Path, runtime: Runtime | None = None, **options: Any) -> dict[str, Any]:
    held_back = SAMPLES[16:] if "fallback" in options or options.get("calibration") == "auto" else None
    request = PassRequest(parent, out, SAMPLES[:16], PtqW8A8(**options), held_back, "regression")
    return (runtime or TensorRT()).passes[PtqW8A8](request) or {}


def answers(file: Path) -> np.ndarray[Any, Any]:
    opened = TensorRT().load(file, 1)
    return np.concatenate([opened.run(sample[None]) for sample in SAMPLES])


@pytest.mark.parametrize("options", [{}, {"calibration": "entropy"}, {"per_channel": False}])
def test_integers_are_int8_around_zero_and_biases_stay_float(options: dict[str, Any], parent: Path, tmp_path: Path) -> None:
    quantized(parent, tmp_path / "int8.onnx", **options)
    graph = onnx.load(str(tmp_path / "int8.onnx")).graph
    arrays = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    rounding = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert {arrays[node.input[2]].dtype for node in rounding} == {np.dtype("int8")}
    assert not any(arrays[node.input[2]].any() for node in rounding)
    makers = {name: node for node in graph.node for name in node.output}
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    assert len(layers) == 3
    for layer in layers:
        assert [makers[name].op_type for name in layer.input[:2]] == ["DequantizeLinear"] * 2
        assert all(arrays[name].dtype == np.float32 for name in layer.input[2:])
        weight, scale = (arrays[name] for name in makers[layer.input[1]].input[:2])
        assert weight.dtype == np.int8
        assert weight.min() >= -127  # around zero, so that no product is larger than another's
        assert scale.size == (weight.shape[0] if options.get("per_channel", True) else 1)
    assert np.abs(answers(tmp_path / "int8.onnx") - answers(parent)).max() < 0.05 * np.ptp(answers(parent))


def test_what_the_short_cut_carries_is_rounded_once(parent: Path, tmp_path: Path) -> None:
    """The sum reads what the convolution reads: TensorRT can then compute both in integers."""
    quantized(parent, tmp_path / "int8.onnx")
    graph = onnx.load(str(tmp_path / "int8.onnx")).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    added = next(node for node in graph.node if node.op_type == "Add")
    assert sorted(makers[name] for name in added.input) == ["Conv", "DequantizeLinear"]


def test_what_was_chosen_was_chosen_on_such_files(parent: Path, tmp_path: Path) -> None:
    chosen = quantized(parent, tmp_path / "int8.onnx", calibration="auto")
    assert set(chosen["errors"]) == {"minmax", "entropy", "percentile"}
    TensorRT().inspect(tmp_path / "int8.onnx")


def test_sixteen_bits_are_refused(parent: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"no 16-bit activations[\s\S]*take ptq_w8a8.fallback"):
        quantized(parent, tmp_path / "int8.onnx", fallback="int16")


def test_half_precision_is_in_the_file(parent: Path, tmp_path: Path) -> None:
    TensorRT().passes[Float16](PassRequest(parent, tmp_path / "half.onnx", SAMPLES, Float16()))
    kept = {one.data_type for one in onnx.load(str(tmp_path / "half.onnx")).graph.initializer if len(one.dims) > 1}
    assert kept == {TensorProto.FLOAT16}
    assert np.abs(answers(tmp_path / "half.onnx") - answers(parent)).max() < 0.01 * np.ptp(answers(parent))


def test_a_file_for_onnx_runtime_is_refused_at_its_first_zero_point(parent: Path, tmp_path: Path) -> None:
    quantized(parent, tmp_path / "uint8.onnx", OnnxRuntime())
    with pytest.raises(ExportError, match=r"DequantizeLinear \(first.*is not int8 with zero points of 0[\s\S]*ptq_w8a8"):
        TensorRT().inspect(tmp_path / "uint8.onnx")


def behind_a_matrix(
    folder: Path, kind: str, domain: str = "", opset: int = 20, batch: int | str = 1, beside: bool = False, **attributes: Any
) -> Path:
    """Write a matrix with an operator behind it."""
    weight = numpy_helper.from_array(np.eye(4, dtype=np.float32), "classifier.weight")
    nodes = [
        helper.make_node("MatMul", ["x", "classifier.weight"], ["sum"], name="one"),
        helper.make_node(kind, ["sum"], ["y"], name="two", domain=domain, **attributes),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 4]) for name in "xy"]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], [weight])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.save(model, str(folder / "model.onnx"), save_as_external_data=beside, location="weights", size_threshold=0)
    return folder / "model.onnx"


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ({"kind": "Bernoulli"}, r"no operator Bernoulli \(after classifier\)[\s\S]*replace it in the model"),
        ({"kind": "QuickGelu", "domain": "com.microsoft"}, r"QuickGelu \(after classifier\) is no operator of ONNX"),
        ({"kind": "Relu", "opset": 21}, "it is of opset 21, and JetPack's TensorRT reads 20"),
        ({"kind": "Relu", "batch": "N"}, "input 'x' leaves an axis free"),
        ({"kind": "Relu", "beside": True}, "its weights lie in a file beside it"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_what_tensorrt_does_not_read_is_named_before_a_board_sees_it(file: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=said):
        TensorRT().inspect(behind_a_matrix(tmp_path, **file))


def test_numbers_taken_here_are_emulated_and_those_of_a_board_measured() -> None:
    here = bench_of(Target(name="here", runtime="tensorrt"), Measuring())
    assert (here.output_evidence, here.timed) == ("emulated", False)
    board = bench_of(Target(name="jetson", runtime="tensorrt", device="ssh", device_options={"host": "jetson"}), Measuring())
    assert (board.output_evidence, board.latency_evidence, board.timed) == ("measured", "measured", True)


@pytest.mark.parametrize("device", ["qemu-aarch64", "qemu-x86_64"])
def test_an_emulated_processor_has_no_gpu(device: str) -> None:
    emulator = create("devices", device)
    with pytest.raises(ConfigError, match="runs on an NVIDIA GPU, and qemu"):
        emulator.check("tensorrt", emulator.Options())


def test_an_engine_is_built_once_and_answers_as_the_file(gpu_stand_in: Path, parent: Path) -> None:
    runtime = TensorRT()
    assert not runtime.emulated_here()
    runtime.prepare(parent)
    opened, other = runtime.load(parent, 1), runtime.load(parent, 1)
    assert isinstance(opened, session.TensorRTSession)
    on_the_processor = open_emulated(parent, 1)
    for sample in SAMPLES[:3]:
        other.run(-sample[None])
        np.testing.assert_allclose(opened.run(sample[None]), on_the_processor.run(sample[None]), rtol=1e-4, atol=1e-5)
    assert gpu_stand_in.read_text() == "built\n"
    assert bench_of(Target(name="here", runtime="tensorrt"), Measuring()).output_evidence == "measured"


def test_what_tensorrt_says_is_passed_on(gpu_stand_in: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"builds no engine.*No importer registered for op: Round"):
        TensorRT().load(behind_a_matrix(tmp_path, "Round"), 1)
    model = onnx.load(str(behind_a_matrix(tmp_path, "Relu")))
    model.graph.name = "unbuildable"
    onnx.save(model, str(tmp_path / "model.onnx"))
    with pytest.raises(ExportError, match=r": Could not find any implementation for node X\.\n"):
        TensorRT().load(tmp_path / "model.onnx", 1)


@pytest.mark.gpu
@pytest.mark.parametrize("recipe", ["float32", "ptq_w8a8", "fp16"])
def test_the_gpu_answers_as_the_processor(recipe: str, parent: Path, tmp_path: Path) -> None:
    """Not run by us yet: `pytest -m gpu`, where there is a GPU."""
    file = parent if recipe == "float32" else tmp_path / "model.onnx"
    if recipe == "ptq_w8a8":
        quantized(parent, file)
    elif recipe == "fp16":
        TensorRT().passes[Float16](PassRequest(parent, file, SAMPLES, Float16()))
    assert not TensorRT().emulated_here()
    on_the_processor = open_emulated(file, 1)
    expected = np.concatenate([on_the_processor.run(sample[None]) for sample in SAMPLES])
    tolerance = {"float32": 1e-4, "ptq_w8a8": 0.02, "fp16": 0.01}[recipe]
    assert np.abs(answers(file) - expected).max() < tolerance * np.ptp(expected)
