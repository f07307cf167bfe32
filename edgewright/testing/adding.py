# SPDX-License-Identifier: Apache-2.0
"""The session of the contract's AddingRuntime. It is packed into the probe, and so imports only what a device has."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from edgewright.errors import ExportError
from edgewright.onboard.preprocess import Array


class AddingSession:
    """Returns each sample with a constant added."""

    def __init__(self, constant: float) -> None:
        self.constant = constant

    def run(self, sample: Array) -> Array:
        """Return sample + constant in the sample's own dtype."""
        return np.asarray(sample + self.constant, sample.dtype)

    def arena_bytes(self) -> int | None:
        """There is no arena."""
        return None


def open_session(file: Path, threads: int) -> AddingSession:  # noqa: ARG001 - an addition, one thread
    """Read the number that is added.

    Raises:
        ExportError: the file holds no number.
    """
    try:
        return AddingSession(float(json.loads(file.read_text(encoding="utf-8"))))
    except ValueError as error:
        raise ExportError(f"{file.name} is not a number: {error}") from error
