# SPDX-License-Identifier: Apache-2.0
"""A float model that is a finished file: what a release starts from when there is no live model to train."""

from dataclasses import dataclass
from pathlib import Path

from edgewright.artifact import TensorSpec
from edgewright.runtime import Runtime, Signature


@dataclass(frozen=True)
class ExportedModel:
    """An exported float file, in place of a framework's live model; runtimes that know its format take it over."""

    file: Path
    format: str
    """'onnx' or 'tflite'."""
    runtime: Runtime
    """What executes it."""
    signature: Signature
    """What it declares, its input in the layout in which a sample fits: most formats declare none."""
    finds_anomalies: bool
    """Whether it answers with a score or a reconstruction."""

    @property
    def entry(self) -> TensorSpec:
        """Its one input."""
        return self.signature.inputs[0]
