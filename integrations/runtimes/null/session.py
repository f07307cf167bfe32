# SPDX-License-Identifier: Apache-2.0
"""A loaded .npz file of the reference runtime, and its arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgewright.onboard.preprocess import Array
from edgewright.onboard.refusals import refusals


class NullSession:
    """A loaded .npz file."""

    def __init__(self, arrays: dict[str, Array]) -> None:
        self._arrays = arrays
        self._shape = tuple(arrays["output_shape"].tolist())

    def run(self, sample: Array) -> Array:
        """Run one sample (1, …)."""
        arrays = self._arrays
        flat = sample.reshape(len(sample), -1)
        if "input_scale" not in arrays:
            real: Array = flat @ arrays["weight"].astype(np.float32).T + arrays["bias"].astype(np.float32)
            return real.reshape(len(sample), *self._shape[1:])
        sums = (flat.astype(np.int32) - arrays["input_zero"]) @ arrays["weight"].astype(np.int32).T
        values = sums * (arrays["weight_scale"] * arrays["input_scale"]) + arrays["bias"]
        steps = np.round(values / float(arrays["output_scale"]) + int(arrays["output_zero"]))
        stored: Array = np.clip(steps, -128, 127).astype(np.int8)
        return stored.reshape(len(sample), *self._shape[1:])

    def resize(self, batch: int) -> None:
        """Any batch will do."""

    def arena_bytes(self) -> int | None:
        """Unknown: numpy has no arena."""
        return None


def open_session(file: Path, threads: int) -> NullSession:  # noqa: ARG001 - one multiplication, one thread
    """Load a file once.

    Raises:
        ExportError: the file is not a whole .npz file of this runtime.
    """
    return NullSession(read(file))


def read(file: Path) -> dict[str, Array]:
    """Read the arrays of a file.

    Raises:
        ExportError: the file is not a whole .npz file of this runtime.
    """
    with refusals("not a readable file of the null runtime", file, "export it again"):
        with np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        if not {"weight", "bias", "input_shape", "output_shape"} <= arrays.keys():
            raise ValueError("weight, bias or a shape is missing")
        return arrays
