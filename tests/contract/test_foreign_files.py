# SPDX-License-Identifier: Apache-2.0
"""`edgewright validate` on files that edgewright did not make: what they do not declare is found, or asked for in words."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner, Result
from linear_files import Model, linear_model, onnx_file, ranges, tflite_file

from edgewright.cli import main

PREPARED = (
    "--preprocessing",
    f"scale={1 / 255}",
    "--preprocessing",
    "mean=0.5,0.3,0.15",
    "--preprocessing",
    "std=0.25,0.2,0.1",
)


class Files(NamedTuple):
    """Where files and data are, and the model behind them."""

    folder: Path
    model: Model

    def __truediv__(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """float.onnx, qdq.onnx, float.tflite, int8.tflite of one model; raw.npz as stored, ready.npz prepared and with x first."""
    folder = tmp_path_factory.mktemp("foreign")
    model = linear_model(tmp_path_factory.mktemp("dataset"))
    onnx_file(folder / "float.onnx", model)
    onnx_file(folder / "qdq.onnx", model, ranges(model))
    tflite_file(folder / "float.tflite", model)
    tflite_file(folder / "int8.tflite", model, ranges(model))
    data, labels = model.dataset, model.dataset.labels("test")
    np.savez(folder / "raw.npz", x=data.stored("test"), y=labels)
    np.savez(folder / "ready.npz", x=data.inputs("test", "NCHW"), y=labels)
    return Files(folder, model)


def validate(file: Path, runtime: str, data: Path, *more: object, device: str = "null") -> Result:
    arguments = ["validate", file, "--runtime", runtime, "--data", data, "--device", device, *more]
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def said(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    for word in words:
        assert word in result.output
    assert len(result.output.splitlines()) < 25  # a screen


@pytest.mark.parametrize(("name", "runtime"), [("qdq.onnx", "onnxruntime"), ("int8.tflite", "litert")])
def test_samples_that_are_prepared_already_need_no_more_words(files: Files, name: str, runtime: str) -> None:
    """ready.npz has channels first, and the .tflite file takes them last."""
    said(validate(files / name, runtime, files / "ready.npz"), 0, "✓ sanity", "n=397", "commonest class")


def test_how_raw_samples_are_prepared_is_asked_for(files: Files) -> None:
    said(validate(files / "int8.tflite", "litert", files / "raw.npz"), 2, "raw values (uint8)", "--preprocessing scale=")
    raw = validate(files / "int8.tflite", "litert", files / "raw.npz", *PREPARED)
    ready = validate(files / "int8.tflite", "litert", files / "ready.npz")
    said(raw, 0)
    assert [line for line in raw.output.splitlines() if "top1" in line] == [
        line for line in ready.output.splitlines() if "top1" in line
    ]
    wrong = validate(files / "int8.tflite", "litert", files / "raw.npz", "--preprocessing", "scal=1")
    said(wrong, 2, "did you mean 'scale'?")


@pytest.mark.parametrize("device", ["null", "local"])
def test_a_file_is_held_against_one_of_another_runtime(files: Files, device: str) -> None:
    """On the device both are timed in turn, each by its own runtime."""
    result = validate(files / "int8.tflite", "litert", files / "ready.npz", "--reference", files / "float.onnx", device=device)
    said(result, 0, "✓ accuracy", "LSB", "✓ parity", "✓ sanity", "✓ worth_it", "agreement")
    assert ("median latency" in result.output) == (device == "local")


def test_outputs_are_kept_and_compared_with(files: Files, tmp_path: Path) -> None:
    kept = tmp_path / "float.npz"
    said(validate(files / "float.onnx", "onnxruntime", files / "ready.npz", "--save-outputs", kept), 0)
    with np.load(kept, allow_pickle=False) as archive:
        assert archive["outputs"].shape == (397, 10)
        assert archive["origin"][0] == "row 1"
        assert str(archive["runtime"]) == "onnxruntime"
        outputs, samples = archive["outputs"], archive["samples"]
    against = ("--reference", kept)
    same = validate(files / "int8.tflite", "litert", files / "ready.npz", *against)
    said(same, 0, "✓ accuracy", "✓ parity")
    assert "worth_it" not in same.output  # outputs have no size and no speed
    said(validate(files / "int8.tflite", "litert", files / "raw.npz", *PREPARED, *against), 2, "of other samples")
    np.savez(kept, outputs=outputs[::-1], samples=samples[::-1])
    said(validate(files / "int8.tflite", "litert", files / "ready.npz", *against), 2, "in another order")
    np.savez(kept, outputs=outputs[:-1])
    said(validate(files / "int8.tflite", "litert", files / "ready.npz", *against), 2, "(396, 10)", "397 samples")


def test_a_board_that_disagrees_on_one_sample_in_ten_is_refused(files: Files, tmp_path: Path) -> None:
    kept = tmp_path / "board.npz"
    said(validate(files / "float.onnx", "onnxruntime", files / "ready.npz", "--save-outputs", kept), 0)
    with np.load(kept, allow_pickle=False) as archive:
        outputs = archive["outputs"]
    outputs[::10] = np.roll(outputs[::10], 1, axis=1)
    np.savez(kept, outputs=outputs)
    result = validate(files / "float.onnx", "onnxruntime", files / "ready.npz", "--reference", kept)
    said(result, 1, "✗ parity: File and float model name the same class in 89.9 %")


def test_onnx_files_may_keep_their_weights_beside_them(files: Files, tmp_path: Path) -> None:
    """torch.onnx.export writes them so; a name that leads elsewhere is refused."""
    import onnx

    model = onnx.load(str(files / "float.onnx"))
    onnx.save(model, str(tmp_path / "m.onnx"), save_as_external_data=True, location="m.onnx.data", size_threshold=0)
    result = validate(tmp_path / "m.onnx", "onnxruntime", files / "ready.npz", "--budget", "size_bytes=8000")
    said(result, 1, "✗ size", "✓ sanity")  # of both: the weights alone are 7,720 bytes

    (tmp_path / "m.onnx.data").rename(tmp_path / "moved")
    said(validate(tmp_path / "m.onnx", "onnxruntime", files / "ready.npz"), 2, "'m.onnx.data', which is no file beside it")
    hostile = onnx.load(str(tmp_path / "m.onnx"), load_external_data=False)
    for weight in hostile.graph.initializer:
        next(entry for entry in weight.external_data if entry.key == "location").value = "../moved"
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "m.onnx").write_bytes(hostile.SerializeToString())
    said(validate(tmp_path / "below" / "m.onnx", "onnxruntime", files / "ready.npz"), 2, "no file beside it")


def test_a_class_without_a_sample_moves_none_of_the_others(files: Files, tmp_path: Path) -> None:
    with np.load(files / "ready.npz", allow_pickle=False) as archive:
        x, y = archive["x"], archive["y"]
    np.savez(tmp_path / "few.npz", x=x[y != 0][:30], y=y[y != 0][:30])
    result = validate(files / "float.onnx", "onnxruntime", tmp_path / "few.npz", "--save-outputs", tmp_path / "o.npz")
    said(result, 0, "n=30")
    with np.load(tmp_path / "o.npz", allow_pickle=False) as archive:
        right = float(np.mean(archive["outputs"].argmax(axis=1) == y[y != 0][:30]))
    assert right > 0.8
    assert f"{100 * right:.1f}" in result.output


def test_classes_that_the_file_does_not_answer_are_counted(files: Files, tmp_path: Path) -> None:
    with np.load(files / "ready.npz", allow_pickle=False) as archive:
        x, y = archive["x"], archive["y"]
    np.savez(tmp_path / "odd.npz", x=x, y=np.where(y % 2, "odd", "even"))
    said(validate(files / "float.onnx", "onnxruntime", tmp_path / "odd.npz"), 2, "answers 10 values", "2 classes: even, odd")


def test_data_of_another_shape_is_refused_before_anything_runs(files: Files, tmp_path: Path) -> None:
    with np.load(files / "ready.npz", allow_pickle=False) as archive:
        np.savez(tmp_path / "small.npz", x=archive["x"][:, :, :7], y=archive["y"])
    result = validate(files / "float.onnx", "onnxruntime", tmp_path / "small.npz")
    said(result, 2, "wants samples of shape (3, 8, 8)", "(3, 7, 8)")


def test_a_file_of_two_inputs_is_refused_by_their_names(files: Files, tmp_path: Path) -> None:
    from onnx import TensorProto, helper, save

    wanted = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3, 8, 8)) for name in ("image", "state")]
    made = helper.make_tensor_value_info("output", TensorProto.FLOAT, (1, 192))
    nodes = [helper.make_node("Add", ["image", "state"], ["sum"]), helper.make_node("Flatten", ["sum"], ["output"])]
    graph = helper.make_graph(nodes, "two", wanted, [made])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(tmp_path / "two.onnx"))
    result = validate(tmp_path / "two.onnx", "onnxruntime", files / "ready.npz", "--task", "regression")
    said(result, 2, "takes 2 inputs ('image', 'state')")


def test_a_reference_that_no_runtime_takes_is_refused(files: Files, tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"a pickle")
    result = validate(files / "float.onnx", "onnxruntime", files / "ready.npz", "--reference", tmp_path / "weights.pt")
    said(result, 2, "no runtime takes files of type '.pt'", ".onnx")


def test_an_openvino_file_of_somebody_elses(files: Files, tmp_path: Path) -> None:
    """As `ov.convert_model` writes it: a precision is not declared, so float32 is computed; held against the ONNX file."""
    import openvino

    openvino.save_model(openvino.convert_model(str(files / "float.onnx")), str(tmp_path / "m.xml"), compress_to_fp16=True)
    result = validate(tmp_path / "m.xml", "openvino", files / "ready.npz", "--reference", files / "float.onnx")
    said(result, 1, "✓ accuracy", "✓ parity", "✓ sanity", "✗ worth_it: No better")  # its graph is larger than what fp16 saves
