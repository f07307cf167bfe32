# SPDX-License-Identifier: Apache-2.0
"""Small networks as OpenVINO files, passes on them, and what the files answer."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgewright.integrations.runtimes.openvino import OpenVINO
from edgewright.quantize import answers as run_file
from edgewright.runtime import PassRequest

Array = np.ndarray[Any, Any]
RUNTIME = OpenVINO()
INPUTS = np.random.default_rng(0).normal(size=(160, 16)).astype(np.float32)


def dense() -> nn.Sequential:
    """Weights whose answers depend on the input, without biases: untrained ones name one class for all."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4)
    )
    for layer in model[::2]:
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    return model


def convolutional() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, groups=16), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)),
    )


def export(model: nn.Module, inputs: Array, folder: Path, **options: Any) -> Path:
    file = folder / "float.xml"
    RUNTIME.export(model.eval(), inputs[:1], file, RUNTIME.Options.model_validate(options))
    return file


def convert(options: Any, parent: Path, inputs: Array, name: str = "out") -> tuple[Path, dict[str, Any]]:
    """Perform a pass; one that chooses holds back every second sample."""
    out = parent.with_name(f"{name}.xml")
    chooses = getattr(options, "chooses", False)
    request = PassRequest(parent, out, inputs[::2] if chooses else inputs, options, inputs[1::2] if chooses else None)
    return out, RUNTIME.passes[type(options)](request) or {}


def answers(file: Path, inputs: Array) -> Array:
    return run_file(RUNTIME.load(file, 1), RUNTIME.inspect(file), inputs)


def apart(file: Path, parent: Path, inputs: Array) -> float:
    """Root mean square error over the float file's spread."""
    wanted = answers(parent, inputs)
    return float(np.sqrt(np.mean((answers(file, inputs) - wanted) ** 2)) / wanted.std())
