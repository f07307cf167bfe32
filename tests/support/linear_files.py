# SPDX-License-Identifier: Apache-2.0
"""ONNX and TFLite files of a linear model on scikit-learn's digits in three colours, written by hand, so that each can be
given any fault."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgewright.config import Preprocessing
from edgewright.data.dataset import DataCard, Dataset

COLOURS = np.array([1.0, 0.6, 0.3])
PREPROCESSING = Preprocessing(scale=1 / 255, mean=(0.5, 0.3, 0.15), std=(0.25, 0.2, 0.1), layout="HWC")


class Model(NamedTuple):
    """What is released: weight (10, 192) for inputs in NHWC order, bias (10,), the data, and the float model's outputs."""

    weight: np.ndarray
    bias: np.ndarray
    dataset: Dataset
    outputs: np.ndarray


def linear_model(folder: Path) -> Model:
    """Fit it, and write its data into an empty folder."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    images, labels = load_digits(return_X_y=True)
    stored = np.round(images.reshape(-1, 8, 8, 1) / 16 * 255 * COLOURS).astype(np.uint8)
    counts = {}
    for split, rows in {
        "train": slice(800),
        "calibration": slice(800, 1000),
        "validation": slice(1000, 1400),
        "test": slice(1400, 1797),
    }.items():
        np.save(folder / f"{split}_x.npy", stored[rows])
        np.save(folder / f"{split}_y.npy", labels[rows].astype(np.int64))
        np.save(folder / f"{split}_origin.npy", np.array([f"row {row}" for row in range(rows.start or 0, rows.stop)]))
        counts[split] = rows.stop - (rows.start or 0)
    card = DataCard(
        source="digits", task="classification", labels=tuple("0123456789"), sample_shape=(8, 8, 3), sample_dtype="uint8",
        preprocessing=PREPROCESSING, counts=counts, source_digest="0" * 64,
    )  # fmt: skip
    dataset = Dataset.seal(folder, card)
    inputs = {split: dataset.inputs(split, "NHWC").reshape(counts[split], -1) for split in ("train", "validation")}
    fitted = LogisticRegression(C=0.01, max_iter=200).fit(inputs["train"], dataset.labels("train"))
    weight, bias = fitted.coef_.astype(np.float32), fitted.intercept_.astype(np.float32)
    return Model(weight, bias, dataset, inputs["validation"] @ weight.T + bias)


def ranges(model: Model) -> dict[str, float]:
    """Input and output scale and zero point of int8, by the range of the calibration split."""
    inputs = model.dataset.inputs("calibration", "NHWC").reshape(200, -1)
    outputs = inputs @ model.weight.T + model.bias
    found: dict[str, float] = {}
    for name, values in (("input", inputs), ("output", outputs)):
        low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
        found[f"{name}_scale"] = (high - low) / 255
        found[f"{name}_zero"] = round(-128 - low / found[f"{name}_scale"])
    return found


def onnx_file(
    path: Path,
    model: Model,
    quantized: dict[str, float] | None = None,
    shape: tuple[int, ...] = (1, 3, 8, 8),
    opset: int = 20,
) -> None:
    """Flatten and Gemm; quantized: the output goes through QuantizeLinear and DequantizeLinear, and stays float."""
    from onnx import TensorProto, checker, helper, numpy_helper, save

    weight = model.weight.reshape(10, 8, 8, 3)
    if shape[-1] != 3:
        weight = weight.transpose(0, 3, 1, 2)
    weight = weight.reshape(10, -1)
    arrays = {"weight": weight, "bias": model.bias}
    nodes = [
        helper.make_node("Flatten", ["input"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["output"], transB=1),
    ]
    if quantized:
        nodes[1].output[0] = "real"
        arrays |= {"scale": np.float32(quantized["output_scale"]), "zero": np.int8(quantized["output_zero"])}
        nodes += [
            helper.make_node("QuantizeLinear", ["real", "scale", "zero"], ["stored"]),
            helper.make_node("DequantizeLinear", ["stored", "scale", "zero"], ["output"]),
        ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, (1, 10))],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    checker.check_model(made)
    save(made, str(path))


def tflite_file(path: Path, model: Model, quantized: dict[str, float] | None = None) -> None:
    """One FULLY_CONNECTED operator, float or int8 (weights symmetric, a scale for all of them)."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as tfl

    weight, bias = model.weight, model.bias
    weight_scale = float(np.abs(weight).max()) / 127 or 1.0
    if quantized:
        bias = np.round(bias / (quantized["input_scale"] * weight_scale)).astype(np.int32)
        weight = np.round(weight / weight_scale).astype(np.int8)
        weight_scale *= quantized.get("weight_scale_error", 1.0)
    built, kind = tfl.ModelT(), tfl.TensorType.INT8 if quantized else tfl.TensorType.FLOAT32
    graph = tfl.SubGraphT()
    built.version, built.subgraphs, built.buffers, graph.tensors = 3, [graph], [tfl.BufferT()], []

    def tensor(name: str, shape: tuple[int, ...], dtype: int, scale: float, zero: float = 0, data: Any = None) -> None:
        made, buffer = tfl.TensorT(), tfl.BufferT()
        made.name, made.shape, made.type, made.buffer = name, list(shape), dtype, len(built.buffers)
        if data is not None:
            buffer.data = list(data.tobytes())
        if quantized:
            made.quantization = tfl.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [scale], [int(zero)]
        built.buffers.append(buffer)
        graph.tensors.append(made)

    at = quantized or {"input_scale": 1.0, "input_zero": 0, "output_scale": 1.0, "output_zero": 0}
    tensor("input", (1, 8, 8, 3), kind, at["input_scale"], at["input_zero"])
    tensor("weight", (10, 192), kind, weight_scale, data=weight)
    tensor("bias", (10,), tfl.TensorType.INT32 if quantized else kind, at["input_scale"] * weight_scale, data=bias)
    tensor("output", (1, 10), kind, at["output_scale"], at["output_zero"])
    code, operator = tfl.OperatorCodeT(), tfl.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = tfl.BuiltinOperator.FULLY_CONNECTED
    code.version = 4 if quantized else 1
    operator.inputs, operator.outputs = [0, 1, 2], [3]
    operator.builtinOptionsType, operator.builtinOptions = (
        tfl.BuiltinOptions.FullyConnectedOptions,
        tfl.FullyConnectedOptionsT(),
    )
    graph.operators, graph.inputs, graph.outputs, built.operatorCodes = [operator], [0], [3], [code]
    signature, ends = tfl.SignatureDefT(), []
    for name, index in (("input", 0), ("output", 3)):
        end = tfl.TensorMapT()
        end.name, end.tensorIndex = name, index
        ends.append([end])
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs, signature.outputs = ends
    built.signatureDefs = [signature]
    builder = flatbuffers.Builder(4096)
    builder.Finish(built.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
