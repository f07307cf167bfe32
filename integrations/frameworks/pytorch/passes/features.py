# SPDX-License-Identifier: Apache-2.0
"""Intermediate features: the feature maps of a model as it runs, and what brings a student's to its teacher's channels.

Of each spatial size the last map is taken: what stands before the next downsampling, and the last of all. Teacher and
student are matched by that size, so that no layer has to be named.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from edgewright.integrations.frameworks.pytorch.build import finds_anomalies

Size = tuple[int, int]
_SERIES, _IMAGES = 3, 4  # dimensions of a batch of feature maps over time, and over height and width


class Features:
    """While it is entered, keeps the last feature map of each spatial size of a model: ``maps`` after each forward pass.

    Maps are (N, C, H, W); over time, (N, C, 1, L). What comes before the first convolution is no feature, nor is what is
    pooled to one value a channel.
    """

    def __init__(self, model: nn.Module) -> None:
        self.maps: dict[Size, Tensor] = {}
        self._model = model
        self._dimensions = 0  # of the last convolution's output; 0 before the first
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        self._hooks = [self._model.register_forward_pre_hook(self._start)]
        self._hooks += [layer.register_forward_hook(self._keep) for layer in self._model.modules() if layer is not self._model]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for hook in self._hooks:
            hook.remove()

    def _start(self, model: nn.Module, inputs: Any) -> None:  # noqa: ARG002 - torch gives them
        self.maps, self._dimensions = {}, 0

    def _keep(self, layer: nn.Module, inputs: Any, output: Any) -> None:  # noqa: ARG002
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            self._dimensions = output.dim()
        if not isinstance(output, Tensor) or output.dim() != self._dimensions:
            return
        if output.dim() == _SERIES:
            output = output.unsqueeze(2)
        if output.dim() == _IMAGES and output.shape[2:].numel() > 1:
            self.maps[output.shape[2], output.shape[3]] = output


def channels(model: nn.Module, sample: tuple[int, ...]) -> dict[Size, int]:
    """Return the channels of a model's last feature map of each spatial size, in the order they come."""
    with Features(model.eval()) as features, torch.no_grad():
        model(torch.zeros(1, *sample))
    return {size: kept.shape[1] for size, kept in features.maps.items()}


class Hinted(nn.Module):
    """A student with one 1x1 projection for each spatial size it has in common with its teacher.

    It answers as the student alone does; the projections are trained beside it and thrown away with it.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, sample: tuple[int, ...]) -> None:
        super().__init__()
        self.student = student
        self.finds_anomalies = finds_anomalies(student)
        narrow, wide = channels(student, sample), channels(teacher, sample)
        self.sizes = [size for size in wide if size in narrow]
        self.projections = nn.ModuleList(nn.Conv2d(narrow[size], wide[size], 1, bias=False) for size in self.sizes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the student's outputs."""
        outputs: Tensor = self.student(inputs)
        return outputs

    def project(self, maps: dict[Size, Tensor]) -> Sequence[Tensor]:
        """Bring the student's feature maps to the teacher's channels, size by size."""
        return [projection(maps[size]) for size, projection in zip(self.sizes, self.projections, strict=True)]
