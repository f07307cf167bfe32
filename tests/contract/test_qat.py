# SPDX-License-Identifier: Apache-2.0
"""Quantization-aware training: one graph, and its very scales in every runtime's file."""

import collections
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from qat_cases import CASES, RUNTIMES, Case, Cases, answers, quantized
from safetensors.torch import load_file
from torch import nn

from edgewright.data.dataset import Array
from edgewright.export import export_model
from edgewright.integrations.frameworks.pytorch import PyTorch
from edgewright.integrations.frameworks.pytorch.quantized import set_mode
from edgewright.integrations.runtimes.openvino import graph as ir_graph
from edgewright.integrations.runtimes.openvino.session import read as read_ir
from edgewright.metrics import metric

INTERRUPTED = """
import pathlib

def interrupted(labels, outputs):
    with open("epochs.txt", "a") as file:
        file.write("x")
    at = pathlib.Path("interrupt_at")
    if at.exists() and pathlib.Path("epochs.txt").read_text() == at.read_text():
        raise KeyboardInterrupt
    return float((outputs.argmax(axis=1) == labels).mean())
"""


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return Cases(tmp_path_factory)


def with_unrounded_branches(case: Case) -> Array:
    """What OpenVINO is asked for: it clips a residual branch, but adds the shortcut before it rounds."""
    model = deepcopy(case.model)
    for node in model.graph.nodes:
        if node.target is torch.ops.aten.add.Tensor:
            branch = node.args[0].target
            rounding = model.get_submodule(branch)
            low, high = (
                float(rounding.scale * (end - rounding.zero_point))
                for end in (rounding.activation_post_process.quant_min, rounding.activation_post_process.quant_max)
            )
            model.set_submodule(branch, nn.Hardtanh(low, high))
    with torch.no_grad():
        outputs: Array = model(torch.from_numpy(np.array(case.inputs))).numpy()
    return outputs


def activation_scales(model: Any) -> set[float]:
    state = model.state_dict()
    return {float(value.item()) for name, value in state.items() if name.endswith(".scale") and value.numel() == 1}


def tensors(file: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    interpreter = Interpreter(str(file), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    return interpreter.get_tensor_details(), interpreter._get_ops_details()


@pytest.mark.parametrize("name", CASES)
def test_the_pass_keeps_what_the_model_can_do_and_says_what_it_did(name: str, cases: Cases) -> None:
    case = cases(name)
    before, facts = case.baseline.facts, case.candidate.facts
    done = facts.passes[-1]
    assert facts.quantized
    assert facts.recipe == done.name == "qat_w8a8"
    assert (facts.macs, facts.parameters) == (before.macs, before.parameters)
    better = 1 if metric(case.by).higher_is_better else -1
    assert better * (done.score[1] - done.score[0]) > -0.05 * max(1, abs(done.score[0]))
    assert len(done.history) == 2
    if case.data.card.task == "classification":
        assert done.agreement is not None
        assert done.agreement > 0.9


@pytest.mark.parametrize("name", CASES)
def test_a_loaded_model_answers_as_the_one_that_was_trained(name: str, cases: Cases) -> None:
    case = cases(name)
    outputs = PyTorch().predict(case.model, case.data.inputs("validation", case.layout))
    score = float(metric(case.by).score(case.data.labels("validation"), outputs))
    assert score == case.candidate.facts.passes[-1].score[1]
    again = PyTorch().load(case.candidate)
    for size in (1, 7):
        np.testing.assert_array_equal(
            PyTorch().predict(again, case.inputs[:size]), PyTorch().predict(case.model, case.inputs[:size])
        )


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", CASES)
def test_every_file_answers_within_two_steps(name: str, runtime: str, cases: Cases) -> None:
    case, subject = cases(name), RUNTIMES[runtime]
    file = case.file(subject)
    step = subject.inspect(file).outputs[0].lsb
    assert step is not None
    outputs = answers(subject, file, case.inputs, case.layout).reshape(case.outputs.shape)
    expected = with_unrounded_branches(case) if runtime == "openvino" else case.outputs
    assert np.abs(outputs - expected).max() <= 2.01 * step
    if case.data.card.task == "classification":
        assert (outputs.argmax(1) == case.outputs.argmax(1)).mean() >= 0.99


@pytest.mark.parametrize("name", CASES)
def test_every_scale_in_every_file_is_one_of_the_training(name: str, cases: Cases) -> None:
    case = cases(name)
    learned = activation_scales(case.model)
    graph = onnx.load(case.file(RUNTIMES["onnxruntime"])).graph
    stored = {weight.name: onnx.numpy_helper.to_array(weight) for weight in graph.initializer}
    in_onnx = {float(stored[node.input[1]]) for node in graph.node if node.op_type == "QuantizeLinear"}
    details, _ = tensors(case.file(RUNTIMES["litert"]))
    stored_with = [one["quantization_parameters"]["scales"] for one in details if one["dtype"] == np.int8]
    in_tflite = {float(scales[0]) for scales in stored_with if len(scales) == 1}
    assert len(in_onnx) > 2
    assert len(in_tflite) > 2
    assert in_onnx <= learned
    assert in_tflite <= learned
    ir = read_ir(case.file(RUNTIMES["openvino"]))
    in_ir = [ir_graph.step(quantizer) for quantizer in ir_graph.activation_quantizers(ir)]
    assert len(in_ir) > 2
    for step in in_ir:  # it stores the two ends of a range, each rounded to float32
        assert step == pytest.approx(min(learned, key=lambda scale: abs(scale - step)), rel=1e-5)


@pytest.mark.parametrize(("name", "convolutions"), [("resnet8", 9), ("ds_cnn", 5), ("cnn1d", 3), ("mlp", 0)])
def test_onnx_runtime_computes_every_layer_in_integers(name: str, convolutions: int, cases: Cases, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(cases(name).file(RUNTIMES["onnxruntime"])), options, providers=["CPUExecutionProvider"])
    kinds = collections.Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert kinds["QLinearConv"] == convolutions
    assert kinds["QGemm"] == (2 if name == "mlp" else 1)
    assert not {"Conv", "FusedConv", "Gemm", "MatMul", "BatchNormalization"} & kinds.keys()


@pytest.mark.parametrize("name", CASES)
def test_tflite_files_hold_integers_only_and_give_and_take_int8(name: str, cases: Cases) -> None:
    file = cases(name).file(RUNTIMES["litert"])
    signature = RUNTIMES["litert"].inspect(file)
    assert [signature.inputs[0].dtype, signature.outputs[0].dtype] == ["int8", "int8"]
    details, operators = tensors(file)
    assert np.float32 not in {one["dtype"] for one in details}
    assert not {"QUANTIZE", "DEQUANTIZE"} & {one["op_name"] for one in operators}


def test_the_pipelines_export_writes_the_integer_file(cases: Cases, tmp_path: Path) -> None:
    case = cases("mlp")
    manifest = export_model(case.candidate, case.data, "tflite_micro", {}, tmp_path / "artifact").facts
    assert (manifest.recipe, manifest.inputs[0].dtype) == ("qat_w8a8", "int8")
    assert manifest.quantization["qat_w8a8"]["epochs"] == 2


def test_it_learns_from_the_teacher(cases: Cases, tmp_path: Path) -> None:
    """With all the weight on the teacher, labels do not matter: its own rounding is all that is learned away."""
    case = cases("mlp")
    student = quantized(case.baseline, case.data, tmp_path / "distilled", distill=True, alpha=1.0, temperature=2.0)
    done = student.facts.passes[-1]
    assert done.name == "qat_w8a8.distill"
    assert done.agreement is not None
    assert done.agreement >= 0.98
    assert done.history[-1].train_loss < 0.05


def test_scales_start_from_calibration_data(cases: Cases, tmp_path: Path) -> None:
    case = cases("resnet8")
    one = quantized(case.baseline, case.data, tmp_path / "one", epochs=1, learning_rate=1e-9)
    inputs = case.data.inputs("calibration", "NCHW")
    scale = load_file(one.path / "weights.safetensors")["activation_post_process_0.scale"]
    np.testing.assert_allclose(scale, (inputs.max() - min(0, inputs.min())) / 255, rtol=0.02)


def test_scales_follow_what_is_seen_only_in_training_and_only_until_they_are_frozen(cases: Cases) -> None:
    case = cases("mlp")
    model, inputs = PyTorch().load(case.candidate), 10 * torch.from_numpy(np.array(case.inputs))
    learned = activation_scales(model)
    for training, frozen in ((False, False), (True, True)):
        set_mode(model, training, frozen)
        model(inputs)
        assert activation_scales(model) == learned
    set_mode(model, True)
    model(inputs)
    assert not activation_scales(model) & learned


def test_an_interrupted_training_ends_with_the_same_weights(
    cases: Cases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("qat_metrics.py").write_text(INTERRUPTED)
    case, by = cases("resnet8"), "qat_metrics:interrupted"
    through = quantized(case.baseline, case.data, tmp_path / "through", by, epochs=3)
    Path("interrupt_at").write_text(Path("epochs.txt").read_text() + "xxx")
    with pytest.raises(KeyboardInterrupt):
        quantized(case.baseline, case.data, tmp_path / "cut", by, epochs=3)
    (tmp_path / "cut-checkpoints").rename(tmp_path / "resumed-checkpoints")
    resumed = quantized(case.baseline, case.data, tmp_path / "resumed", by, epochs=3)
    assert (resumed.path / "weights.safetensors").read_bytes() == (through.path / "weights.safetensors").read_bytes()
    assert resumed.facts == through.facts
