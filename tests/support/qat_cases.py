# SPDX-License-Identifier: Apache-2.0
"""Baselines that train in a second, what quantization-aware training makes of them, and their files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_datasets import anomalies, digits, values, windows

from edgewright.artifact import Candidate
from edgewright.config import ModelSpec
from edgewright.config.model_passes import QatW8A8
from edgewright.data.dataset import Array, Dataset
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.pytorch import PyTorch
from edgewright.integrations.runtimes.litert import LiteRT
from edgewright.integrations.runtimes.onnxruntime import OnnxRuntime
from edgewright.integrations.runtimes.openvino import OpenVINO
from edgewright.integrations.runtimes.tflite_micro import TFLiteMicro
from edgewright.onboard.preprocess import to_layout
from edgewright.runtime import Runtime, dequantize_output, quantize_input

RUNTIMES = {runtime.name: runtime for runtime in (OnnxRuntime(), LiteRT(), TFLiteMicro(), OpenVINO())}


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


class Cases:
    """Cases by name, each made when it is first asked for."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._made: dict[str, Case] = {}

    def __call__(self, name: str) -> Case:
        if name not in self._made:
            folder = self._factory.mktemp(name)
            data, by, architecture, options = CASES[name]
            self._made[name] = Case(folder, data(folder / "data"), by, architecture, options)
        return self._made[name]


def answers(runtime: Runtime, file: Path, inputs: Array, layout: str) -> Array:
    signature, session = runtime.inspect(file), runtime.load(file, 1)
    ready = quantize_input(to_layout(inputs, layout, signature.inputs[0].layout), signature.inputs[0])
    raw = np.concatenate([session.run(np.ascontiguousarray(sample[None])) for sample in ready])
    return dequantize_output(raw, signature.outputs[0])
