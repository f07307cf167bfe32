# SPDX-License-Identifier: Apache-2.0
"""Real ONNX and TFLite files with one fault each: every fault is refused by a message that names it, and sound files pass.

The model is a linear one on scikit-learn's digits in three colours, so that each file can be written by hand, fault included.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from linear_files import PREPROCESSING, Model, linear_model, onnx_file, ranges, tflite_file

from edgewright.artifact import Artifact, ArtifactManifest, TensorSpec
from edgewright.config import Budget, GateConfig, Measuring, Target
from edgewright.config.file_passes import PtqW8A8
from edgewright.errors import DeviceError, ExportError, StoreError
from edgewright.gate.screen import screen
from edgewright.gate.verdict import Verdict
from edgewright.metrics import top1
from edgewright.plugins import create
from edgewright.runtime import PassRequest
from edgewright.validate import validate_artifact
from edgewright.validation import ValidationRun

SUFFIX = {"onnxruntime": "onnx", "litert": "tflite", "tflite_micro": "tflite"}
AXES = {"onnxruntime": "NCHW", "litert": "NHWC"}
LAYOUTS = {"onnxruntime": (1, 3, 8, 8), "litert": (1, 8, 8, 3)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return linear_model(tmp_path_factory.mktemp("dataset"))


WRITERS: dict[str, Callable[..., None]] = {"onnxruntime": onnx_file, "litert": tflite_file, "tflite_micro": tflite_file}


def artifact(folder: Path, runtime: str, write: Callable[[Path], None], recipe: str = "ptq_w8a8", **claims: Any) -> Artifact:
    """Seal a file that `write` makes, with the manifest it deserves, or one with other claims."""
    folder.mkdir()
    file = folder / f"model.{SUFFIX[runtime]}"
    write(file)
    declared = create("runtimes", runtime).inspect(file)
    manifest = ArtifactManifest(
        format=SUFFIX[runtime], file=file.name, size_bytes=file.stat().st_size, recipe=recipe, task="classification",
        inputs=declared.inputs, outputs=declared.outputs, preprocessing=PREPROCESSING, labels=tuple("0123456789"),
        toolchain={}, parent="0" * 64,
    )  # fmt: skip
    return Artifact.seal(folder, manifest.model_copy(update=claims))


class Bench(NamedTuple):
    """Makes artifacts of the model for one runtime, and validates them."""

    runtime: str
    model: Model
    folder: Path

    def make(self, name: str, model: Model | None = None, quantized: dict[str, float] | None = None, **claims: Any) -> Artifact:
        used = model or self.model
        return artifact(self.folder / name, self.runtime, lambda file: WRITERS[self.runtime](file, used, quantized), **claims)

    def validate(self, made: Artifact, device: str = "null", *, timing: bool = False) -> ValidationRun:
        parent = self.make("parent", recipe="float32")
        out = self.folder / "run"
        out.mkdir()
        return validate_artifact(
            made, parent, self.model.dataset, "validation", self.model.outputs, self.target(device), "top1",
            Measuring(warmup=2, invocations=60, processes=2), 0, out, timing=timing,
        )  # fmt: skip

    def target(self, device: str = "null") -> Target:
        return Target(name="board", runtime=self.runtime, device=device, budget=Budget(max_accuracy_drop=0.02))

    def screened(self, run: ValidationRun) -> Verdict:
        before = top1(self.model.dataset.labels("validation"), self.model.outputs)
        return screen(self.target(), run.facts, before - run.facts.measurements["top1"].value, GateConfig())

    def refused(self, made: Artifact) -> str:
        """All reasons for which parity refuses the file."""
        verdict = self.screened(self.validate(made))
        assert verdict.outcome == "fail"
        return " ".join(finding.reason for finding in verdict.findings if (finding.rule, finding.outcome) == ("parity", "fail"))


@pytest.fixture(params=["onnxruntime", "litert"])
def bench(request: pytest.FixtureRequest, model: Model, tmp_path: Path) -> Bench:
    return Bench(request.param, model, tmp_path)


def test_a_sound_int8_file_raises_no_alarm(bench: Bench) -> None:
    run = bench.validate(bench.make("sound", quantized=ranges(bench.model)))
    findings = bench.screened(run).findings
    assert {finding.outcome for finding in findings if finding.rule in ("parity", "accuracy")} == {"pass"}
    assert run.facts.parity.gain == pytest.approx(1, abs=0.01)


def test_a_float_file_answers_what_the_float_model_answers(bench: Bench) -> None:
    run = bench.validate(bench.make("float", recipe="float32"))
    assert run.facts.parity.relative_difference < 1e-5
    np.testing.assert_allclose(run.outputs(), bench.model.outputs, atol=1e-3)


def test_what_onnxruntimes_own_quantizer_writes_raises_no_alarm(model: Model, tmp_path: Path) -> None:
    bench = Bench("onnxruntime", model, tmp_path)
    runtime, parent = create("runtimes", "onnxruntime"), bench.make("float", recipe="float32")
    calibration = model.dataset.inputs("calibration", "NCHW")

    def quantize(file: Path) -> None:
        runtime.passes[PtqW8A8](PassRequest(parent.main_file, file, calibration, PtqW8A8()))

    verdict = bench.screened(bench.validate(artifact(tmp_path / "quantized", "onnxruntime", quantize)))
    assert {finding.outcome for finding in verdict.findings if finding.rule in ("parity", "accuracy")} == {"pass"}


def test_every_number_of_a_sound_file_is_measured_on_this_machine(bench: Bench) -> None:
    run = bench.validate(bench.make("sound", quantized=ranges(bench.model)), device="local", timing=True)
    facts = run.facts
    timed = {"latency_p50_ms", "latency_p95_ms", "cold_start_ms", "peak_memory_bytes"}
    assert facts.measurements.keys() == {"top1", "size_bytes", *timed}
    assert {"latency_p50_ms", "size_bytes"} <= facts.ratios.keys()
    assert {taken.evidence for taken in facts.measurements.values()} == {"measured"}
    assert facts.measurements["latency_p50_ms"].n == facts.parent["latency_p50_ms"].n == 120
    assert (
        facts.measurements["size_bytes"].value
        == bench.folder.joinpath("sound", f"model.{SUFFIX[bench.runtime]}").stat().st_size
    )
    assert facts.device.kind == "local"
    with np.load(run.path / "latencies.npz", allow_pickle=False) as latencies:
        assert (len(latencies["artifact"]), len(latencies["parent"])) == (120, 120)
    assert ValidationRun.open(run.path).digest == run.digest


def test_memory_of_a_microcontroller_is_its_tensor_arena(model: Model, tmp_path: Path) -> None:
    bench = Bench("tflite_micro", model, tmp_path)
    facts = bench.validate(bench.make("sound", quantized=ranges(model)), timing=True).facts
    memory, parents = facts.measurements["peak_memory_bytes"], facts.parent["peak_memory_bytes"]
    assert "tensor arena" in memory.method
    assert memory.low == memory.high == memory.value  # exact, so every process sees the same
    assert 0 < memory.value < parents.value
    assert facts.ratios["peak_memory_bytes"].value == memory.value / parents.value
    assert {memory.evidence, facts.measurements["latency_p50_ms"].evidence} == {"emulated"}


def test_saturated_outputs(bench: Bench) -> None:
    narrow = ranges(bench.model)
    narrow["output_scale"] /= 4
    assert "sit at an end of their quantized range" in bench.refused(bench.make("narrow", quantized=narrow))


def test_constant_outputs(bench: Bench) -> None:
    dead = bench.model._replace(weight=np.zeros_like(bench.model.weight))
    assert "do not depend on the input" in bench.refused(bench.make("dead", dead, ranges(bench.model)))


def test_permuted_labels(bench: Bench) -> None:
    order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]
    permuted = bench.model._replace(weight=bench.model.weight[order], bias=bench.model.bias[order])
    reasons = bench.refused(bench.make("permuted", permuted, ranges(bench.model)))
    assert "the labels are permuted" in reasons
    assert str(order) in reasons


def test_height_and_width_swapped(bench: Bench) -> None:
    weight = bench.model.weight.reshape(10, 8, 8, 3).transpose(0, 2, 1, 3).reshape(10, -1)
    reasons = bench.refused(bench.make("swapped", bench.model._replace(weight=weight), ranges(bench.model)))
    assert "swapped layout" in reasons


def test_a_wrong_scale(bench: Bench) -> None:
    doubled = bench.model._replace(weight=bench.model.weight * 2, bias=bench.model.bias * 2)
    wide = ranges(bench.model)
    wide["output_scale"] *= 2
    assert "scale is wrong" in bench.refused(bench.make("doubled", doubled, wide))


def test_a_wrong_weight_scale_in_an_integer_graph(model: Model, tmp_path: Path) -> None:
    bench = Bench("litert", model, tmp_path)
    reasons = bench.refused(bench.make("halved", quantized=ranges(model) | {"weight_scale_error": 0.5}))
    assert "scale is wrong" in reasons


@pytest.mark.parametrize("what", ["inputs", "outputs"])
def test_float_io_in_a_file_that_claims_int8(bench: Bench, what: str) -> None:
    made = bench.make("sound", recipe="float32")
    claimed = tuple(tensor.model_copy(update={"dtype": "int8", "scale": 0.1}) for tensor in getattr(made.facts, what))
    shutil.rmtree(made.path)
    with pytest.raises(ExportError, match=f"{what[:-1]} '{what[:-1]}' of the file is float32, its manifest claims int8"):
        bench.validate(bench.make("sound", **{what: claimed}))


def test_a_scale_the_file_does_not_have(model: Model, tmp_path: Path) -> None:
    bench = Bench("litert", model, tmp_path)
    scale = TensorSpec(name="output", shape=(1, 10), dtype="int8", scale=0.5, zero_point=3)
    with pytest.raises(ExportError, match=r"its manifest claims 0\.5 and 3"):
        bench.validate(bench.make("sound", quantized=ranges(model), outputs=(scale,)))


def test_channels_first_and_last_swapped_in_preprocessing(bench: Bench) -> None:
    swapped = PREPROCESSING.model_copy(update={"layout": "CHW", "mean": (0.3,), "std": (0.2,)})
    with pytest.raises(ExportError, match=r"the file's input wants[\s\S]*height, width and channels may be swapped"):
        bench.validate(bench.make("sound", quantized=ranges(bench.model), preprocessing=swapped))


def test_a_layout_the_file_does_not_have(bench: Bench) -> None:
    other = "NHWC" if AXES[bench.runtime] == "NCHW" else "NCHW"
    claimed = TensorSpec(name="input", shape=LAYOUTS[bench.runtime], dtype="float32", layout=other)
    with pytest.raises(ExportError, match=f"layout of input 'input' is '{AXES[bench.runtime]}' in the file"):
        bench.validate(bench.make("sound", recipe="float32", inputs=(claimed,)))


def test_a_file_cut_short_after_it_was_sealed(bench: Bench) -> None:
    made = bench.make("sound", quantized=ranges(bench.model))
    made.main_file.write_bytes(made.main_file.read_bytes()[:-100])
    with pytest.raises(StoreError, match="was changed or cut short"):
        bench.validate(made)


def test_a_file_cut_short_before_it_was_sealed(bench: Bench) -> None:
    sound = bench.make("sound", quantized=ranges(bench.model))
    cut = bench.folder / "cut"
    cut.mkdir()
    (cut / sound.facts.file).write_bytes(sound.main_file.read_bytes()[: sound.facts.size_bytes // 2])
    with pytest.raises(ExportError, match=r"(not a readable|cannot read the)[\s\S]*export it again"):
        bench.validate(Artifact.seal(cut, sound.facts))


def test_outputs_that_are_no_numbers(bench: Bench) -> None:
    broken = bench.model._replace(bias=np.full(10, np.inf, np.float32))
    with pytest.raises(ExportError, match="4000 of 4000 outputs are NaN or infinite"):
        bench.validate(bench.make("broken", broken, recipe="float32"))


def test_a_runtime_that_fails_while_it_runs_is_the_devices_error(model: Model, tmp_path: Path) -> None:
    """A Reshape that does not fit, which only shows when it runs."""
    from onnx import TensorProto, helper, numpy_helper, save

    def write(file: Path) -> None:
        graph = helper.make_graph(
            [helper.make_node("Reshape", ["input", "to"], ["output"])],
            "misfit",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ("batch", 3, 8, 8))],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, (1, 10))],
            [numpy_helper.from_array(np.array([1, 10]), "to")],
        )
        save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(file))

    bench = Bench("onnxruntime", model, tmp_path)
    with pytest.raises(DeviceError, match="Reshape"):
        bench.validate(artifact(tmp_path / "misfit", "onnxruntime", write))
