# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a training: one an epoch, written whole or not at all, and read only by the training they belong to."""

import hashlib
import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from edgewright.config.model import ModelSpec
from edgewright.data.dataset import Dataset
from edgewright.fingerprint import of_code, of_path
from edgewright.plugins import working_folder_on_path

KEPT = 2  # the newest, and the one before it in case the disk has damaged the newest


def training_digest(spec: ModelSpec, data: Dataset, seed: int, metric: str) -> str:
    """Digest all that the weights depend on: spec, starting weights, data, seed, metric, code and the version of torch."""
    with working_folder_on_path():
        own = [path.partition(":")[0] for path in (spec.architecture, metric) if ":" in path]
        code = [of_code(module) for module in (__name__.rpartition(".")[0], *own)]
    starting = of_path(Path(spec.weights)) if spec.weights else None
    parts = [spec.model_dump(mode="json"), starting, data.digest, seed, metric, code, torch.__version__]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def write(folder: Path, digest: str, epoch: int, state: Mapping[str, Any]) -> None:
    """Write the state after ``epoch`` epochs, and remove this training's older checkpoints."""
    folder.mkdir(parents=True, exist_ok=True)
    incoming = folder / f".incoming-{os.getpid()}"
    with incoming.open("wb") as stream:
        torch.save({"digest": digest, **state}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    incoming.replace(folder / f"{digest[:16]}-{epoch:05}.pt")
    for old in _newest_first(folder, digest)[KEPT:]:
        old.unlink(missing_ok=True)


def newest(folder: Path, digest: str) -> dict[str, Any] | None:
    """Read the newest checkpoint with this digest that is whole; None when there is none."""
    for file in _newest_first(folder, digest):
        try:
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
            continue
        if state.get("digest") == digest:
            return state
    return None


def _newest_first(folder: Path, digest: str) -> list[Path]:
    return sorted(folder.glob(f"{digest[:16]}-*.pt"), reverse=True)
