# SPDX-License-Identifier: Apache-2.0
"""What is exported and what it is exported from: Candidate (weights + recipe) and Artifact (files + manifest)."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from edgewright.bundle import Bundle
from edgewright.config.data import Preprocessing, Task
from edgewright.config.model import ModelSpec
from edgewright.measure import Frozen, Measurement

DType = Literal["float32", "float16", "int8", "uint8", "int16", "int32", "int64"]


class TensorSpec(Frozen):
    """One input or output of a file, as the file itself declares it."""

    name: str
    shape: tuple[int, ...] = Field(description="With the batch dimension; -1 where it is free.")
    dtype: DType
    layout: str = Field(default="", description="'NCHW', 'NHWC', 'NCL', 'NLC', 'NF'; empty for outputs.")
    scale: float | None = Field(default=None, description="real = scale * (stored - zero_point); None for float outputs.")
    zero_point: int = 0
    lsb: float | None = Field(
        default=None, description="One quantization step in real units, also where float outputs stand behind an integer graph."
    )


class Epoch(Frozen):
    """One line of the training history."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_score: float
    learning_rate: float


class LayerSpec(Frozen):
    """One layer as a pass has left it: enough to build it again, so that weights travel without pickled code."""

    kind: Literal[
        "conv1d", "conv2d", "convtranspose2d", "linear", "batchnorm1d", "batchnorm2d", "layernorm", "groupnorm", "prelu"
    ]
    inputs: int = Field(description="Input channels or features; of a normalization, all it has.")
    outputs: int
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    bias: bool = False


class PassFacts(Frozen):
    """One pass on the model: what it was asked, what came of it, against the model it was given."""

    name: str
    options: dict[str, Any]
    parameters: tuple[int, int] = Field(description="Before and after.")
    macs: tuple[int, int] = Field(description="Multiply-accumulates of one sample, before and after.")
    zeros: float = Field(default=0.0, description="Share of zeros among the weights of convolutions and linear layers, after.")
    score: tuple[float, float] = Field(description="The metric on validation data, before and after.")
    agreement: float | None = Field(
        default=None, description="Share of validation samples with the same top-1 class as before; None without classes."
    )
    achieved: float | None = Field(default=None, description="The share that went, where the pass was asked for one.")
    history: tuple[Epoch, ...] = ()


class CandidateFacts(Frozen):
    """Where weights came from."""

    framework: str
    model: ModelSpec
    input_shape: tuple[int, ...] = Field(description="One preprocessed sample in the framework's layout, no batch.")
    outputs: int = Field(description="Length of the output vector; 0 for anomaly detection.")
    parameters: int
    macs: int | None = Field(default=None, description="Multiply-accumulates of one sample; None where nobody counted.")
    recipe: str = Field(default="float32", description="Name of the passes applied so far.")
    history: tuple[Epoch, ...] = ()
    best_epoch: int | None = None
    passes: tuple[PassFacts, ...] = Field(default=(), description="Passes on the model so far, in their order.")
    layers: dict[str, tuple[LayerSpec, ...]] = Field(
        default_factory=dict,
        description="Layers that differ from the architecture's, by module name: one of another size, or several in sequence.",
    )
    quantized: bool = Field(default=False, description="Whether the weights were trained with their quantization.")
    parent: str | None = Field(default=None, description="Digest of the candidate this one was made from.")


class Candidate(Bundle[CandidateFacts]):
    """Weights and the recipe that made them."""

    Facts = CandidateFacts


class PackageFacts(Frozen):
    """What a runtime made of a file for its target, beside it: a compiled file, or sources around it."""

    stored: str = Field(default="", description="Name of the file that the device stores; empty: the main file.")
    estimates: dict[str, Measurement] = Field(
        default_factory=dict,
        description="What the compiler calculated, by name: latency_ms (one inference), peak_memory_bytes, flash_bytes, …",
    )
    notes: tuple[str, ...] = Field(default=(), description="Sentences a person has to know, such as what stays on the CPU.")


class ArtifactManifest(Frozen):
    """All a device needs to run the file, and all a person needs to trace it."""

    schema_version: Literal[1] = 1
    format: str = Field(description="'onnx', 'tflite', …")
    file: str = Field(description="Name of the main file in the bundle; of a folder, where the format is one.")
    size_bytes: int = Field(description="What the device stores: all files of the artifact, or of a package the one it names.")
    recipe: str
    task: Task
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    quantization: dict[str, Any] = Field(default_factory=dict, description="Options of each pass, by its name.")
    preprocessing: Preprocessing
    labels: tuple[str, ...] = ()
    package: PackageFacts | None = Field(default=None, description="None: the file goes to the device as it is.")
    toolchain: dict[str, str] = Field(description="Distribution name to version, of what wrote the file.")
    parent: str = Field(description="Digest of the candidate, or of the artifact this one was made from.")


class Artifact(Bundle[ArtifactManifest]):
    """Exported files and their manifest."""

    Facts = ArtifactManifest

    @property
    def main_file(self) -> Path:
        """The file a runtime opens; a folder where the format is one (.mlpackage)."""
        return self.path / self.facts.file
