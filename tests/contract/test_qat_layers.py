# SPDX-License-Identifier: Apache-2.0
"""Quantization-aware training of models that were pruned, or that users write; layers without integers are named."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from qat_cases import RUNTIMES, Cases, answers, quantized
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from edgewright.artifact import Candidate, CandidateFacts, PassFacts
from edgewright.config import ModelSpec
from edgewright.config.model_passes import QatW8A8
from edgewright.errors import EdgewrightError, ExportError, ModelError
from edgewright.integrations.frameworks.pytorch import PyTorch
from edgewright.integrations.frameworks.pytorch.build import build
from edgewright.integrations.frameworks.pytorch.quantized import calibrate, prepare
from edgewright.integrations.frameworks.pytorch.structure import describe
from edgewright.integrations.runtimes.litert import LiteRT
from edgewright.integrations.runtimes.onnxruntime import OnnxRuntime

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return Cases(tmp_path_factory)


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


def test_a_pruned_model_is_quantized_in_its_new_shape(cases: Cases, tmp_path: Path) -> None:
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


def test_zeros_of_a_sparse_model_are_zeros_in_its_files(cases: Cases, tmp_path: Path) -> None:
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
def test_a_layer_left_in_float_is_named(runtime: str, operator: str, cases: Cases, tmp_path: Path) -> None:
    """Rounding that someone took out of the graph must not come out as a float layer in a file of integers."""
    model = PyTorch().load(cases("mlp").candidate)
    last = [node for node in model.graph.nodes if node.target == torch.ops.aten.linear.default][-1]
    last.update_arg(0, last.args[0].args[0])
    model.recompile()
    subject = RUNTIMES[runtime]
    with pytest.raises(ExportError, match=f"{operator} is left in float"):
        subject.export_quantized(model, cases("mlp").inputs[:1], tmp_path / f"out{subject.suffix}", subject.Options())


def test_torchao_is_not_heard(cases: Cases) -> None:
    """A user asked for a model, not for the GPU kernels that are missing."""
    code = (
        "import sys; from pathlib import Path; from edgewright.artifact import Candidate\n"
        "from edgewright.integrations.frameworks.pytorch import PyTorch\n"
        "PyTorch().load(Candidate.open(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(cases("mlp").candidate.path)]
    loaded = subprocess.run(command, capture_output=True, text=True)
    assert (loaded.returncode, loaded.stdout, loaded.stderr) == (0, "", "")
