# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a training: one an epoch, written whole or not at all, and read only by the training they belong to."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.arrays import UNREADABLE
from edgewright.config.model import ModelSpec
from edgewright.data.dataset import Dataset
from edgewright.fingerprint import of_code, of_path
from edgewright.framework import Array
from edgewright.integrations.frameworks.keras.engine import keras, tf
from edgewright.plugins import working_folder_on_path

KEPT = 2  # the newest, and the one before it in case the disk has damaged the newest
_FACTS = "facts"


def training_digest(spec: ModelSpec, data: Dataset, seed: int, metric: str) -> str:
    """Digest all that the weights depend on: spec, starting weights, data, seed, metric, code and toolkit versions."""
    with working_folder_on_path():
        own = [path.partition(":")[0] for path in (spec.architecture, metric) if ":" in path]
        code = [of_code(module) for module in (__name__.rpartition(".")[0], *own)]
    starting = of_path(Path(spec.weights)) if spec.weights else None
    return digest_of(spec.model_dump(mode="json"), starting, data.digest, seed, metric, code)


def digest_of(*parts: Any) -> str:
    """Digest what JSON can hold, and the versions of TensorFlow and tf_keras."""
    return hashlib.sha256(json.dumps([*parts, tf.__version__, keras.__version__], sort_keys=True).encode()).hexdigest()


def write(folder: Path, digest: str, epoch: int, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> None:
    """Write the state after ``epoch`` epochs, and remove this training's older checkpoints."""
    folder.mkdir(parents=True, exist_ok=True)
    incoming = folder / f".incoming-{os.getpid()}"
    with incoming.open("wb") as stream:
        named: dict[str, Any] = {_FACTS: np.array(json.dumps({"digest": digest, **facts})), **arrays}
        np.savez(stream, **named)
        stream.flush()
        os.fsync(stream.fileno())
    incoming.replace(folder / f"{digest[:16]}-{epoch:05}.npz")
    for old in _newest_first(folder, digest)[KEPT:]:
        old.unlink(missing_ok=True)


def newest(folder: Path, digest: str) -> tuple[dict[str, Array], dict[str, Any]] | None:
    """Read arrays and facts of the newest checkpoint with this digest that is whole; None when there is none."""
    for file in _newest_first(folder, digest):
        try:
            with np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            facts: dict[str, Any] = json.loads(str(arrays.pop(_FACTS)))
        except UNREADABLE:
            continue
        if facts.get("digest") == digest:
            return arrays, facts
    return None


def _newest_first(folder: Path, digest: str) -> list[Path]:
    return sorted(folder.glob(f"{digest[:16]}-*.npz"), reverse=True)
