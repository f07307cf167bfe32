# SPDX-License-Identifier: Apache-2.0
"""Quantization-aware training: one graph, and its very scales in every runtime's file."""

import collections
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from safetensors.torch import load_file, save_file
from small_datasets import anomalies, digits, values, windows
from torch import nn
from torch.nn import functional

from edgewright.artifact import Candidate, CandidateFacts, PassFacts
from edgewright.config import ModelSpec
from edgewright.config.model_passes import QatW8A8
from edgewright.data.dataset import Array, Dataset
from edgewright.errors import EdgewrightError, ExportError, ModelError
from edgewright.export import export_model
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.pytorch import PyTorch
from edgewright.integrations.frameworks.pytorch.build import build
from edgewright.integrations.frameworks.pytorch.quantized import calibrate, prepare, set_mode
from edgewright.integrations.frameworks.pytorch.structure import describe
from edgewright.integrations.runtimes.litert import LiteRT
from edgewright.integrations.runtimes.onnxruntime import OnnxRuntime
from edgewright.integrations.runtimes.openvino import OpenVINO
from edgewright.integrations.runtimes.openvino import graph as ir_graph
from edgewright.integrations.runtimes.openvino.session import read as read_ir
from edgewright.integrations.runtimes.tflite_micro import TFLiteMicro
from edgewright.metrics import metric
from edgewright.onboard.preprocess import to_layout
from edgewright.runtime import Runtime, dequantize_output, quantize_input

RUNTIMES = {runtime.name: runtime for runtime in (OnnxRuntime(), LiteRT(), TFLiteMicro(), OpenVINO())}
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


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trained(architecture: str, data: Dataset, out: Path, by: str = "top1", **options: Any) -> Candidate:
    spec = ModelSpec.model_validate(
        {"architecture": architecture, "options": options, "training": {"epochs": 4, "batch_size": 16, "learning_rate": 0.01}}
    )
    out.mkdir()
    return Candidate.seal(out, PyTorch().train(spec, data, 0, by, out, out.parent / f"{out.name}-checkpoints"))


def quantized(
    candidate: Candidate, data: Dataset, out: Path, by: str = "top1", teacher: Candidate | None = None, **options: Any
) -> Candidate:
    out.mkdir()
    request = ModelPassRequest(
        candidate=candidate,
        teacher=teacher or candidate,
        data=data,
        options=QatW8A8.model_validate({"epochs": 2} | options),
        metric=by,
        seed=1,
        out=out,
        checkpoints=out.parent / f"{out.name}-checkpoints",
    )
    return Candidate.seal(out, PyTorch().passes[QatW8A8](request))


class Case:
    """A baseline, what quantization-aware training made of it, and what that answers."""

    def __init__(self, folder: Path, data: Dataset, by: str, architecture: str, options: dict[str, Any]) -> None:
        self.data, self.by, self.folder = data, by, folder
        self.baseline = trained(architecture, data, folder / "baseline", by, **options)
        self.candidate = quantized(self.baseline, data, folder / "quantized", by)
        self.model = PyTorch().load(self.candidate)
        self.layout = PyTorch.layouts[len(self.candidate.facts.input_shape)]
        self.inputs = data.inputs("test", self.layout)
        with torch.no_grad():
            self.outputs = self.model(torch.from_numpy(np.array(self.inputs))).numpy()
        self.files: dict[str, Path] = {}

    def file(self, runtime: Runtime) -> Path:
        if runtime.suffix not in self.files:
            file = self.folder / f"model{runtime.suffix}"
            runtime.export_quantized(self.model, self.inputs[:1], file, runtime.Options())
            self.files[runtime.suffix] = file
        return self.files[runtime.suffix]


CASES: dict[str, tuple[Any, str, str, dict[str, Any]]] = {
    "resnet8": (digits, "top1", "resnet8", {"width": 8}),
    "ds_cnn": (digits, "top1", "ds_cnn", {"width": 16, "blocks": 2}),
    "cnn1d": (windows, "top1", "cnn1d", {"width": 8, "dropout": 0.2}),
    "mlp": (digits, "top1", "mlp", {"hidden": [24]}),
    "regression": (values, "mae", "mlp", {"hidden": [24]}),
    "autoencoder": (anomalies, "auc", "mlp", {"hidden": [16], "bottleneck": 2}),
}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made: dict[str, Case] = {}

    def case(name: str) -> Case:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            data, by, architecture, options = CASES[name]
            made[name] = Case(folder, data(folder / "data"), by, architecture, options)
        return made[name]

    return case


def answers(runtime: Runtime, file: Path, inputs: Array, layout: str) -> Array:
    signature, session = runtime.inspect(file), runtime.load(file, 1)
    ready = quantize_input(to_layout(inputs, layout, signature.inputs[0].layout), signature.inputs[0])
    raw = np.concatenate([session.run(np.ascontiguousarray(sample[None])) for sample in ready])
    return dequantize_output(raw, signature.outputs[0])


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
def test_the_pass_keeps_what_the_model_can_do_and_says_what_it_did(name: str, cases: Any) -> None:
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
def test_a_loaded_model_answers_as_the_one_that_was_trained(name: str, cases: Any) -> None:
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
def test_every_file_answers_within_two_steps(name: str, runtime: str, cases: Any) -> None:
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
def test_every_scale_in_every_file_is_one_of_the_training(name: str, cases: Any) -> None:
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
def test_onnx_runtime_computes_every_layer_in_integers(name: str, convolutions: int, cases: Any, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(cases(name).file(RUNTIMES["onnxruntime"])), options, providers=["CPUExecutionProvider"])
    kinds = collections.Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert kinds["QLinearConv"] == convolutions
    assert kinds["QGemm"] == (2 if name == "mlp" else 1)
    assert not {"Conv", "FusedConv", "Gemm", "MatMul", "BatchNormalization"} & kinds.keys()


@pytest.mark.parametrize("name", CASES)
def test_tflite_files_hold_integers_only_and_give_and_take_int8(name: str, cases: Any) -> None:
    file = cases(name).file(RUNTIMES["litert"])
    signature = RUNTIMES["litert"].inspect(file)
    assert [signature.inputs[0].dtype, signature.outputs[0].dtype] == ["int8", "int8"]
    details, operators = tensors(file)
    assert np.float32 not in {one["dtype"] for one in details}
    assert not {"QUANTIZE", "DEQUANTIZE"} & {one["op_name"] for one in operators}


def test_the_pipelines_export_writes_the_integer_file(cases: Any, tmp_path: Path) -> None:
    case = cases("mlp")
    manifest = export_model(case.candidate, case.data, "tflite_micro", {}, tmp_path / "artifact").facts
    assert (manifest.recipe, manifest.inputs[0].dtype) == ("qat_w8a8", "int8")
    assert manifest.quantization["qat_w8a8"]["epochs"] == 2


def test_it_learns_from_the_teacher(cases: Any, tmp_path: Path) -> None:
    """With all the weight on the teacher, labels do not matter: its own rounding is all that is learned away."""
    case = cases("mlp")
    student = quantized(case.baseline, case.data, tmp_path / "distilled", distill=True, alpha=1.0, temperature=2.0)
    done = student.facts.passes[-1]
    assert done.name == "qat_w8a8.distill"
    assert done.agreement is not None
    assert done.agreement >= 0.98
    assert done.history[-1].train_loss < 0.05


def test_scales_start_from_calibration_data(cases: Any, tmp_path: Path) -> None:
    case = cases("resnet8")
    one = quantized(case.baseline, case.data, tmp_path / "one", epochs=1, learning_rate=1e-9)
    inputs = case.data.inputs("calibration", "NCHW")
    scale = load_file(one.path / "weights.safetensors")["activation_post_process_0.scale"]
    np.testing.assert_allclose(scale, (inputs.max() - min(0, inputs.min())) / 255, rtol=0.02)


def test_scales_follow_what_is_seen_only_in_training_and_only_until_they_are_frozen(cases: Any) -> None:
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
    cases: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


def without_channels(candidate: Candidate, out: Path) -> Candidate:
    """Take the second half of the channels inside each block away, as structured pruning does."""
    facts, model = candidate.facts, PyTorch().load(candidate)
    for block in model[2:5]:
        (first, norm), second = block.body[0], block.body[2][0]
        kept = first.out_channels // 2
        first.weight, second.weight = nn.Parameter(first.weight[:kept]), nn.Parameter(second.weight[:, :kept])
        first.out_channels = norm.num_features = second.in_channels = kept
        for name in ("weight", "bias"):
            setattr(norm, name, nn.Parameter(getattr(norm, name)[:kept]))
        norm.running_mean, norm.running_var = norm.running_mean[:kept], norm.running_var[:kept]
    return sealed(candidate, model, out, layers=describe(model, build(facts.model, facts.input_shape, facts.outputs)))


def without_weights(candidate: Candidate, out: Path) -> Candidate:
    """Make half of the weights zero, as unstructured pruning does."""
    model = PyTorch().load(candidate)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data[parameter.abs() < parameter.abs().median()] = 0
    done = PassFacts(name="sparsify50", options={}, parameters=(1, 1), macs=(1, 1), zeros=0.5, score=(1, 1))
    return sealed(candidate, model, out, passes=(done,))


def sealed(candidate: Candidate, model: nn.Module, out: Path, **changes: Any) -> Candidate:
    out.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, out / "weights.safetensors")
    facts: CandidateFacts = candidate.facts.model_copy(update=changes)
    return Candidate.seal(out, facts)


def test_a_pruned_model_is_quantized_in_its_new_shape(cases: Any, tmp_path: Path) -> None:
    case = cases("resnet8")
    pruned = without_channels(case.baseline, tmp_path / "pruned")
    made = quantized(pruned, case.data, tmp_path / "made", teacher=case.baseline, distill=True)
    assert made.facts.layers == pruned.facts.layers
    assert made.facts.passes[-1].macs[1] < 0.7 * case.baseline.facts.macs
    model, file = PyTorch().load(made), tmp_path / "pruned.tflite"
    RUNTIMES["litert"].export_quantized(model, case.inputs[:1], file, LiteRT.Options())
    expected = PyTorch().predict(model, case.inputs)
    assert (answers(RUNTIMES["litert"], file, case.inputs, "NCHW").argmax(1) == expected.argmax(1)).mean() >= 0.99
    assert file.stat().st_size < case.file(RUNTIMES["litert"]).stat().st_size


def test_zeros_of_a_sparse_model_are_zeros_in_its_files(cases: Any, tmp_path: Path) -> None:
    case = cases("resnet8")
    made = quantized(without_weights(case.baseline, tmp_path / "sparse"), case.data, tmp_path / "made")
    assert made.facts.passes[-1].zeros == pytest.approx(0.5, abs=0.02)
    file = tmp_path / "sparse.onnx"
    RUNTIMES["onnxruntime"].export_quantized(PyTorch().load(made), case.inputs[:1], file, OnnxRuntime.Options())
    weights = [onnx.numpy_helper.to_array(one) for one in onnx.load(file).graph.initializer if len(one.dims) > 1]
    share = sum((one == 0).sum() for one in weights) / sum(one.size for one in weights)
    assert share >= made.facts.passes[-1].zeros


class Varied(nn.Module):
    """What users write: normalization with an eps of its own, clamps, pooling, concatenation, changes in place."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8, eps=1e-2)
        nn.init.uniform_(self.norm.running_var, 1e-3, 1e-2)
        self.second, self.other_norm = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8)
        self.hidden, self.third_norm = nn.Linear(64, 16), nn.BatchNorm1d(16)
        self.drop, self.out = nn.Dropout(0.5), nn.Linear(16, 4)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        wide = functional.max_pool2d(functional.relu6(self.norm(self.first(inputs))), 2)
        other = functional.hardtanh(self.other_norm(self.second(wide)), 0, 6)
        both = functional.avg_pool2d(torch.cat([wide, other], 1), 2)
        other = functional.adaptive_avg_pool2d(both, 2).flatten(1)
        hidden = functional.relu(self.third_norm(self.hidden(other)), inplace=True)
        hidden += hidden.relu()
        return self.out(self.drop(hidden))  # type: ignore[no-any-return]


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert"])
def test_layers_that_users_write_are_quantized(runtime: str, tmp_path: Path) -> None:
    model, subject = Varied().eval(), RUNTIMES[runtime]
    inputs = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    prepared = prepare(model, (3, 16, 16))
    calibrate(prepared, inputs, model)
    file = tmp_path / f"varied{subject.suffix}"
    subject.export_quantized(prepared, inputs[:1].numpy(), file, subject.Options())
    outputs, wanted = answers(subject, file, inputs.numpy(), "NCHW"), prepared(inputs).detach().numpy()
    assert np.abs(outputs - wanted).max() <= 2.01 * subject.inspect(file).outputs[0].lsb  # type: ignore[operator]
    assert np.abs(wanted - model(inputs).detach().numpy()).max() < 0.05 * np.ptp(wanted)


def test_an_operator_without_integers_is_named_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own_nets.py").write_text(
        "from collections import OrderedDict as O\nfrom torch import nn\n"
        "def net(outputs): return nn.Sequential(O(first=nn.Linear(6, 8), gate=nn.Sigmoid(), last=nn.Linear(8, outputs)))\n"
    )
    spec = ModelSpec(architecture="own_nets:net")
    with pytest.raises(ModelError, match=r"aten.sigmoid has no place(.|\n)*layer 'gate'"):
        PyTorch().check_pass(QatW8A8(), spec, "regression", (6,), 2)
    with pytest.raises(EdgewrightError, match="logits of classes, and the task is regression"):
        PyTorch().check_pass(QatW8A8(distill=True), ModelSpec(architecture="mlp"), "regression", (6,), 2)
    PyTorch().check_pass(QatW8A8(), ModelSpec(architecture="mlp"), "regression", (6,), 2)


def test_a_convolution_whose_output_is_used_beside_its_normalization_is_refused() -> None:
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
            nn.init.constant_(self.norm.running_mean, 0.5)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            plain = self.first(inputs)
            return (plain + self.norm(plain).relu()).mean((2, 3))  # type: ignore[no-any-return]

    model = Beside().eval()
    with pytest.raises(ModelError, match="batch normalization folded the model answers otherwise"):
        calibrate(prepare(model, (3, 8, 8)), torch.randn(16, 3, 8, 8), model)


@pytest.mark.parametrize(("runtime", "operator"), [("onnxruntime", "Gemm"), ("litert", "operator FULLY_CONNECTED")])
def test_a_layer_left_in_float_is_named(runtime: str, operator: str, cases: Any, tmp_path: Path) -> None:
    """Rounding that someone took out of the graph must not come out as a float layer in a file of integers."""
    model = PyTorch().load(cases("mlp").candidate)
    last = [node for node in model.graph.nodes if node.target == torch.ops.aten.linear.default][-1]
    last.update_arg(0, last.args[0].args[0])
    model.recompile()
    subject = RUNTIMES[runtime]
    with pytest.raises(ExportError, match=f"{operator} is left in float"):
        subject.export_quantized(model, cases("mlp").inputs[:1], tmp_path / f"out{subject.suffix}", subject.Options())


def test_torchao_is_not_heard(cases: Any) -> None:
    """A user asked for a model, not for the GPU kernels that are missing."""
    code = (
        "import sys; from pathlib import Path; from edgewright.artifact import Candidate\n"
        "from edgewright.integrations.frameworks.pytorch import PyTorch\n"
        "PyTorch().load(Candidate.open(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(cases("mlp").candidate.path)]
    loaded = subprocess.run(command, capture_output=True, text=True)
    assert (loaded.returncode, loaded.stdout, loaded.stderr) == (0, "", "")
