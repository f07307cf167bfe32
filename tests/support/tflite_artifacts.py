# SPDX-License-Identifier: Apache-2.0
"""Small networks as .tflite artifacts, for what is made of finished files: compiled for an accelerator, or as C sources."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgewright import plugins
from edgewright.artifact import Artifact, ArtifactManifest
from edgewright.config.file_passes import PtqW8A8
from edgewright.data.dataset import Dataset
from edgewright.runtime import PassRequest

SAMPLE = (12, 10, 3)


class Net(nn.Module):
    """Two convolutions and a linear layer; ``odd`` puts a sine between them, which no accelerator computes."""

    def __init__(self, odd: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.odd = odd
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.out = nn.Linear(16, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.first(inputs))
        if self.odd:
            hidden = torch.sin(hidden)
        return self.out(torch.relu(self.second(hidden)).mean((2, 3)))  # type: ignore[no-any-return]


def exported(folder: Path, model: nn.Module, data: Dataset) -> tuple[Artifact, Artifact]:
    """A model's float file and its int8 file, both written by LiteRT."""
    writer = plugins.create("runtimes", "litert")
    inputs = data.inputs("calibration", "NCHW")
    places = [folder / name for name in ("float", "int8")]
    for place in places:
        place.mkdir(parents=True)
    whole, quantized = (place / "model.tflite" for place in places)
    writer.export(model.eval(), inputs[:1], whole, writer.Options())
    writer.passes[PtqW8A8](PassRequest(whole, quantized, np.moveaxis(inputs, 1, -1).copy(), PtqW8A8()))
    return sealed(whole, "float32", data), sealed(quantized, "ptq_w8a8", data)


def sealed(file: Path, recipe: str, data: Dataset) -> Artifact:
    """An artifact of a file as LiteRT reads it."""
    signature = plugins.create("runtimes", "litert").inspect(file)
    manifest = ArtifactManifest(
        format="tflite",
        file=file.name,
        size_bytes=file.stat().st_size,
        recipe=recipe,
        task="classification",
        inputs=signature.inputs,
        outputs=signature.outputs,
        preprocessing=data.card.preprocessing,
        labels=data.card.labels,
        toolchain={},
        parent="made here",
    )
    return Artifact.seal(file.parent, manifest)
