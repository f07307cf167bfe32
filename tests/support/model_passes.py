# SPDX-License-Identifier: Apache-2.0
"""Baselines that train in a second, and passes performed on them as the pipeline does."""

from pathlib import Path
from typing import Any

from edgewright.artifact import Candidate
from edgewright.config import ModelSpec
from edgewright.config.passes import PassConfig
from edgewright.data.dataset import Dataset
from edgewright.framework import ModelPassRequest
from edgewright.plugins import create


def trained(
    architecture: str,
    data: Dataset,
    folder: Path,
    options: dict[str, Any] | None = None,
    framework: str = "pytorch",
    **training: Any,
) -> Candidate:
    """Train a baseline and write it into ``folder``, which is made."""
    short: dict[str, Any] = {"epochs": 6, "batch_size": 16, "learning_rate": 0.01}
    asked = {"architecture": architecture, "options": options or {}, "training": short | training}
    spec = ModelSpec.model_validate({"framework": framework, **asked})
    out = folder / "weights"
    out.mkdir(parents=True)
    return Candidate.seal(out, create("frameworks", framework).train(spec, data, 0, "top1", out, folder / "checkpoints"))


def performed(step: PassConfig, candidate: Candidate, baseline: Candidate, data: Dataset, folder: Path) -> Candidate:
    """Perform one pass on a candidate and write what comes of it into ``folder``, which is made."""
    out = folder / "weights"
    out.mkdir(parents=True)
    request = ModelPassRequest(candidate, baseline, data, step, "top1", 0, out, folder / "checkpoints")
    return Candidate.seal(out, create("frameworks", candidate.facts.framework).passes[type(step)](request))
