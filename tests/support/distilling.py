# SPDX-License-Identifier: Apache-2.0
"""Teachers that train in a second, what is distilled from them as the pipeline does, and models of a user's own."""

from pathlib import Path
from typing import Any

import numpy as np

from edgewright.artifact import Candidate, CandidateFacts
from edgewright.config import ModelSpec
from edgewright.config.model_passes import Distill
from edgewright.data.dataset import Dataset
from edgewright.framework import ModelPassRequest
from edgewright.integrations.frameworks.pytorch import PyTorch
from edgewright.integrations.frameworks.pytorch.build import build
from edgewright.integrations.frameworks.pytorch.structure import count_macs

OWN = """
import pathlib
from torch import nn

def net(sample, outputs, width=8):
    return nn.Sequential(nn.Conv2d(sample[0], width, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(outputs))

def three(): return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))

def over_time(sample, outputs):
    layers = nn.Conv1d(sample[0], 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, outputs)
    return nn.Sequential(*layers)

def score(): return nn.Linear(10, 1)

def interrupted(labels, outputs):
    with open("epochs.txt", "a") as file:
        file.write("x")
    at = pathlib.Path("interrupt_at")
    if at.exists() and pathlib.Path("epochs.txt").read_text() == at.read_text():
        raise KeyboardInterrupt
    return float((outputs.argmax(axis=1) == labels).mean())
"""


SMALL: dict[str, Any] = {"student": "ds_cnn", "options": {"width": 16, "blocks": 2}}


def spec_of(architecture: str, options: dict[str, Any] | None = None, **training: Any) -> ModelSpec:
    short: dict[str, Any] = {"epochs": 6, "batch_size": 16, "learning_rate": 0.01}
    return ModelSpec.model_validate({"architecture": architecture, "options": options or {}, "training": short | training})


def trained(spec: ModelSpec, data: Dataset, out: Path, by: str = "top1") -> Candidate:
    out.mkdir()
    return Candidate.seal(out, PyTorch().train(spec, data, 0, by, out, out.parent / f"{out.name}-checkpoints"))


def request_for(baseline: Candidate, data: Dataset, out: Path, *, by: str = "top1", **more: Any) -> ModelPassRequest:
    given = {key: more.pop(key, None) for key in ("candidate", "checkpoints")}
    out.mkdir(exist_ok=True)
    return ModelPassRequest(
        candidate=given["candidate"] or baseline,
        teacher=baseline,
        data=data,
        options=Distill.model_validate(more),
        metric=by,
        seed=0,
        out=out,
        checkpoints=given["checkpoints"] or out.parent / f"{out.name}-checkpoints",
    )


def distilled(baseline: Candidate, data: Dataset, out: Path, **more: Any) -> CandidateFacts:
    return PyTorch().passes[Distill](request_for(baseline, data, out, **more))


def outputs_of(candidate: Candidate, data: Dataset, layout: str = "NCHW") -> np.ndarray:
    return PyTorch().predict(PyTorch().load(candidate), data.inputs("validation", layout))


def macs(architecture: str, options: dict[str, Any], sample: tuple[int, ...], outputs: int) -> int:
    return count_macs(build(spec_of(architecture, options), sample, outputs).eval(), sample)
