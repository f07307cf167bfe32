# SPDX-License-Identifier: Apache-2.0
"""The demo's work without edgewright: the script a user would glue together from the toolkits, for `overhead.py`.

    python benchmarks/bare_demo.py FOLDER

The same data, network, epochs, exports, quantizers, interpreters, samples and timed runs, in as many processes; the same
checks, report figures and MLflow runs. It decides nothing, verifies nothing and cannot be resumed.
`bare_zenml.py` runs the same stages as steps of a ZenML pipeline.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ |= {
    "ZENML_ANALYTICS_OPT_IN": "false",
    "ZENML_LOGGING_VERBOSITY": "ERROR",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "OMP_WAIT_POLICY": "PASSIVE",
}

SPLITS = {"train": 0.5, "calibration": 0.1, "validation": 0.15, "test": 0.25}
SCALE, MEAN, STD = 0.0625, 0.305, 0.376
FILES = {"onnxruntime": "{}.onnx", "litert": "{}.tflite", "tflite_micro": "{}.tflite"}
WARMUP, INVOCATIONS, PROCESSES, TIMED_SAMPLES = 10, 100, 3, 32


def data(folder: Path) -> None:
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    rest = np.arange(len(digits.target))
    left = 1.0
    for split, share in SPLITS.items():
        taken = rest
        if split != "test":
            taken, rest = train_test_split(rest, train_size=share / left, stratify=digits.target[rest], random_state=7)
        left -= share
        np.save(folder / f"{split}_x.npy", digits.images[taken])
        np.save(folder / f"{split}_y.npy", digits.target[taken].astype(np.int64))


def check(folder: Path) -> None:
    import great_expectations as gx
    import numpy as np
    import pandas as pd
    from great_expectations.data_context.types.base import ProgressBarsConfig

    frames = []
    for split in SPLITS:
        x, y = np.load(folder / f"{split}_x.npy"), np.load(folder / f"{split}_y.npy")
        frames.append(
            pd.DataFrame(
                {"split": split, "label": y, "low": x.min((1, 2)), "high": x.max((1, 2)), "lost": np.isnan(x).mean((1, 2))}
            )
        )
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = context.data_sources.add_pandas("s").add_dataframe_asset("s").add_batch_definition_whole_dataframe("s")
    between = gx.expectations.ExpectColumnValuesToBeBetween
    suite = context.suites.add(
        gx.ExpectationSuite(
            name="rules",
            expectations=[
                between(column="lost", max_value=0),
                between(column="low", min_value=-1e38, max_value=1e38),
                between(column="high", min_value=-1e38, max_value=1e38),
                gx.expectations.ExpectColumnValuesToBeInSet(column="label", value_set=list(range(10))),
            ],
        )
    )
    definition = context.validation_definitions.add(gx.ValidationDefinition(name="rules", data=batch, suite=suite))
    assert definition.run(batch_parameters={"dataframe": pd.concat(frames)}).success


def prepared(folder: Path, split: str, layout: str = "NCHW") -> Any:
    import numpy as np

    inputs = ((np.load(folder / f"{split}_x.npy").astype(np.float32) * np.float32(SCALE) - MEAN) / STD).astype(np.float32)
    return np.ascontiguousarray(inputs[:, None] if layout == "NCHW" else inputs[..., None])


def network() -> Any:
    """The demo's resnet8 with 16 channels, for 8 x 8 pixels."""
    from torch import nn

    def conv(narrow: int, wide: int, kernel: int = 3, stride: int = 1) -> nn.Module:
        return nn.Sequential(nn.Conv2d(narrow, wide, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(wide))

    class Residual(nn.Module):
        def __init__(self, narrow: int, wide: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(conv(narrow, wide, stride=stride), nn.ReLU(), conv(wide, wide))
            self.shortcut = nn.Identity() if narrow == wide else conv(narrow, wide, 1, stride)
            self.relu = nn.ReLU()

        def forward(self, inputs: Any) -> Any:
            return self.relu(self.body(inputs) + self.shortcut(inputs))

    class Mean(nn.Module):
        def forward(self, inputs: Any) -> Any:
            return inputs.mean((2, 3))

    blocks = [Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2)]
    return nn.Sequential(conv(1, 16), nn.ReLU(), *blocks, Mean(), nn.Linear(64, 10))


def train(folder: Path) -> None:
    import numpy as np
    import torch
    from torch.nn.functional import cross_entropy

    torch.manual_seed(7)
    model, best = network(), -1.0
    x, y = torch.from_numpy(prepared(folder, "train")), torch.from_numpy(np.load(folder / "train_y.npy"))
    judged, labels = torch.from_numpy(prepared(folder, "validation")), torch.from_numpy(np.load(folder / "validation_y.npy"))
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=1e-4)
    batches = -(-len(x) // 64)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20 * batches)
    for _ in range(20):
        model.train()
        for rows in torch.randperm(len(x)).tensor_split(batches):
            optimizer.zero_grad()
            cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            score = float((model(judged).argmax(1) == labels).float().mean())
        if score > best:
            best = score
            torch.save(model.state_dict(), folder / "weights.pt")


def trained(folder: Path) -> Any:
    import torch

    model = network()
    model.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    return model.eval()


def baseline(folder: Path) -> None:
    import numpy as np
    import torch

    model = trained(folder)
    for split in ("validation", "test"):
        with torch.no_grad():
            np.save(folder / f"{split}_outputs.npy", model(torch.from_numpy(prepared(folder, split))).numpy())


def export_onnx(folder: Path) -> None:
    to_onnx(trained(folder), 8, folder / "float.onnx")


def to_onnx(model: Any, size: int, out: Path) -> None:
    import torch

    program = torch.onnx.export(
        model, (torch.zeros(1, 1, size, size),), dynamo=True, opset_version=20, external_data=False, verbose=False,
        input_names=["input"], output_names=["output"],
    )  # fmt: skip
    program.optimize()
    program.save(str(out))


def quantize_onnx(folder: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Samples(CalibrationDataReader):
        def __init__(self) -> None:
            self.feeds = ({"input": sample[None]} for sample in prepared(folder, "calibration"))

        def get_next(self) -> Any:
            return next(self.feeds, None)

    quant_pre_process(str(folder / "float.onnx"), str(folder / "prepared.onnx"))
    quantize_static(
        str(folder / "prepared.onnx"), str(folder / "int8.onnx"), Samples(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip


def export_tflite(folder: Path) -> None:
    import litert_torch
    import torch

    model = litert_torch.to_channel_last_io(trained(folder), args=[0])
    litert_torch.convert(model, (torch.zeros(1, 8, 8, 1),)).export(str(folder / "float.tflite"))


def quantize_tflite(folder: Path) -> None:
    from ai_edge_quantizer import qtyping, quantizer, recipe_manager
    from ai_edge_quantizer.utils import tfl_interpreter_utils

    recipe = recipe_manager.RecipeManager()
    recipe.add_static_config(
        regex=".*", operation_name=qtyping.TFLOperationName.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8
    )
    file = str(folder / "float.tflite")
    signature, tensors = next(iter(tfl_interpreter_utils.create_tfl_interpreter(file).get_signature_list().items()))
    samples = [{tensors["inputs"][0]: sample[None]} for sample in prepared(folder, "calibration", "NHWC")]
    aeq = quantizer.Quantizer(file, recipe.get_quantization_recipe())
    ranges = aeq.calibrate({signature: samples})
    aeq.quantize(ranges).export_model(str(folder / "int8.tflite"), overwrite=True)


def interpreter(runtime: str, file: str) -> Any:
    """A function of one stored sample, and the file's input type, scale and zero point."""
    import numpy as np

    if runtime == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        return lambda sample: session.run(None, {"input": sample})[0], np.float32, (0.0, 0)
    if runtime == "litert":
        from ai_edge_litert.interpreter import Interpreter

        lite = Interpreter(model_path=file, num_threads=1)
        lite.allocate_tensors()
        entry, exit_ = lite.get_input_details()[0], lite.get_output_details()[0]["index"]

        def run(sample: Any) -> Any:
            lite.set_tensor(entry["index"], sample)
            lite.invoke()
            return lite.get_tensor(exit_)

        return run, entry["dtype"], entry["quantization"]
    from tflite_micro.python.tflite_micro import runtime as micro

    small = micro.Interpreter.from_file(file, arena_size=2**20)
    entry = small.get_input_details(0)
    scales, zeros = (entry["quantization_parameters"][key] for key in ("scales", "zero_points"))

    def invoke(sample: Any) -> Any:
        small.set_input(sample, 0)
        small.invoke()
        return small.get_output(0)

    return invoke, entry["dtype"], (scales[0], zeros[0]) if len(scales) else (0.0, 0)


def run(folder: Path, runtime: str, kind: str, split: str, timed: str) -> None:
    """One process: outputs of all samples of a split, or timed runs over the first of them."""
    import numpy as np

    invoke, dtype, (scale, zero) = interpreter(runtime, str(folder / FILES[runtime].format(kind)))
    inputs = prepared(folder, split, "NCHW" if runtime == "onnxruntime" else "NHWC")
    if dtype == np.int8:
        inputs = np.clip(np.round(inputs / scale + zero), -128, 127).astype(np.int8)
    if timed == "outputs":
        outputs = np.concatenate([np.array(invoke(inputs[at : at + 1])) for at in range(len(inputs))])
        np.save(folder / f"{runtime}_{kind}_{split}.npy", outputs)
        return
    for at in range(WARMUP):
        invoke(inputs[at : at + 1])
    latencies = []
    for turn in range(INVOCATIONS):
        sample = inputs[turn % TIMED_SAMPLES][None]
        started = time.perf_counter_ns()
        invoke(sample)
        latencies.append(time.perf_counter_ns() - started)
    np.save(folder / f"{runtime}_{kind}_latencies.npy", latencies)


def validate(folder: Path, runtime: str) -> None:
    child(folder, "run", runtime, "int8", "validation", "outputs")
    for _ in range(PROCESSES):
        for kind in ("int8", "float"):
            child(folder, "run", runtime, kind, "validation", "timed")


def score(folder: Path, runtime: str) -> None:
    import numpy as np

    child(folder, "run", runtime, "int8", "test", "outputs")
    right = np.load(folder / f"{runtime}_int8_test.npy").argmax(1) == np.load(folder / "test_y.npy")
    (folder / f"{runtime}.txt").write_text(f"{right.mean()}\n")


def report(folder: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    import numpy as np
    from matplotlib import pyplot as plt

    for runtime in FILES:
        for picture in ("size", "latency", "tradeoff", "confusion"):
            figure, axes = plt.subplots()
            if picture == "confusion":
                axes.imshow(np.zeros((10, 10)))
            else:
                axes.barh(range(6), range(6))
            axes.set_title(f"{runtime} {picture}")
            figure.savefig(folder / f"{runtime}_{picture}.svg")
            plt.close(figure)


def track(folder: Path) -> None:
    from mlflow.entities import Metric, Param
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment("bare", artifact_location=(folder / "runs").as_uri())
    parent = client.create_run(experiment).info.run_id
    client.log_batch(parent, params=[Param(f"p{number}", "1") for number in range(60)])
    for runtime, pattern in FILES.items():
        found = client.create_run(experiment, tags={"mlflow.parentRunId": parent}).info.run_id
        accuracy = float((folder / f"{runtime}.txt").read_text())
        client.log_batch(found, metrics=[Metric("top1", accuracy, 0, 0)])
        client.log_artifact(found, str(folder / pattern.format("int8")), "artifact")
        client.create_registered_model(f"bare-{runtime}")
        version = client.create_model_version(f"bare-{runtime}", f"runs:/{found}/artifact", found)
        client.set_registered_model_alias(f"bare-{runtime}", "champion", version.version)
        client.set_terminated(found)
    client.set_terminated(parent)


#: stage, its argument, and whether it runs in a process of its own, as it does in edgewright
STAGES: list[tuple[str, str, bool]] = [
    ("data", "", False),
    ("check", "", False),
    ("train", "", False),
    ("baseline", "", False),
    *[
        row
        for runtime, exporter in (("onnxruntime", "onnx"), ("litert", "tflite"), ("tflite_micro", ""))
        for row in (
            *([(f"export_{exporter}", "", True), (f"quantize_{exporter}", "", True)] if exporter else []),
            ("validate", runtime, False),
            ("score", runtime, False),
        )
    ],
    ("report", "", False),
    ("track", "", False),
]


def do(folder: Path, name: str, argument: str, own_process: bool) -> None:
    given = [argument] if argument else []
    if own_process:
        child(folder, name, *given)
    else:
        globals()[name](folder, *given)


def child(folder: Path, *what: str) -> None:
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, __file__, str(folder), "--only", *what], check=True, env=environment)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--only", nargs="+", default=[])
    chosen = arguments.parse_args()
    folder = chosen.folder.absolute()
    if chosen.only:
        globals()[chosen.only[0]](folder, *chosen.only[1:])
    else:
        for stage in STAGES:
            started = time.monotonic()
            do(folder, *stage)
            print(f"{' '.join(stage[:2]):28} {time.monotonic() - started:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
