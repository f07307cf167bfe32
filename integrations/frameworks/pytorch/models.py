# SPDX-License-Identifier: Apache-2.0
"""The shipped models: small, and built only from operators that quantize and export well everywhere.

Each takes the shape of one sample, the length of the output vector (0: anomaly detection) and its own options.
Convolutions stand before batch normalization and ReLU, so that every converter can fold the three into one.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from edgewright.errors import ModelError

Shape = tuple[int, ...]


def resnet8(sample: Shape, outputs: int, width: int = 16, dropout: float = 0.0) -> nn.Module:
    """Return a residual network for images (C, H, W): three residual blocks of width, 2x and 4x width.

    The image classification model of MLPerf Tiny (Banbury et al., 2021, arXiv:2106.07597); strides shrink with the
    image, so that no feature map falls below 2 x 2.
    """
    channels, size = _image("resnet8", sample)
    layers: list[nn.Module] = [_conv(channels, width), nn.ReLU()]
    for narrow, wide in ((width, width), (width, 2 * width), (2 * width, 4 * width)):
        stride = _stride(size) if wide > narrow else 1
        size = -(-size // stride)
        layers.append(Residual(narrow, wide, stride))
    return nn.Sequential(*layers, *_head(4 * width, outputs, dropout))


def resnet20(sample: Shape, outputs: int, width: int = 16, dropout: float = 0.0) -> nn.Module:
    """Return the residual network of 20 layers for small images (C, H, W): three stages of three blocks each.

    The CIFAR model of He et al., 2016 (arXiv:1512.03385, section 4.2), with a 1 x 1 convolution in the two shortcuts
    that change shape; strides shrink with the image, so that no feature map falls below 2 x 2.
    """
    channels, size = _image("resnet20", sample)
    layers: list[nn.Module] = [_conv(channels, width), nn.ReLU()]
    widths = [width] * 4 + [2 * width] * 3 + [4 * width] * 3
    for narrow, wide in pairwise(widths):
        stride = _stride(size) if wide > narrow else 1
        size = -(-size // stride)
        layers.append(Residual(narrow, wide, stride))
    return nn.Sequential(*layers, *_head(4 * width, outputs, dropout))


def ds_cnn(sample: Shape, outputs: int, width: int = 32, blocks: int = 4, dropout: float = 0.0) -> nn.Module:
    """Return a depthwise-separable network for images or spectrograms (C, H, W).

    The keyword spotting model of Zhang et al., 2017 (arXiv:1711.07128), with 3 x 3 kernels; the first convolution
    and every second block halve the feature map while it stays at least 2 x 2.
    """
    channels, size = _image("ds_cnn", sample)
    stride = _stride(size)
    size = -(-size // stride)
    layers: list[nn.Module] = [_conv(channels, width, stride=stride), nn.ReLU()]
    for block in range(blocks):
        stride = _stride(size) if block % 2 else 1
        size = -(-size // stride)
        depthwise = _conv(width, width, stride=stride, groups=width)
        layers += [depthwise, nn.ReLU(), _conv(width, width, kernel=1), nn.ReLU()]
    return nn.Sequential(*layers, *_head(width, outputs, dropout))


def ds_resnet(sample: Shape, outputs: int, width: int = 8, blocks: Sequence[int] = (2, 3), dropout: float = 0.0) -> nn.Module:
    """Return a residual network of depthwise-separable blocks for images (C, H, W): the shipped student.

    Two convolutions, width and 2x width (the second halves the image), then ``blocks[0]`` blocks of 4x width and
    ``blocks[1]`` of 6x width, whose first halves it again. Most of its accuracy comes from the first, full-size layer,
    which costs few parameters. Blocks as in MobileNet (Howard et al., 2017, arXiv:1704.04861), with the input added.
    """
    channels, size = _image("ds_resnet", sample)
    stride, later = _stride(size), _stride(-(-size // _stride(size)))
    layers: list[nn.Module] = [_conv(channels, width), nn.ReLU(), _conv(width, 2 * width, stride=stride), nn.ReLU()]
    narrow = 2 * width
    for wide, count, first in ((4 * width, blocks[0], 1), (6 * width, blocks[1], later)):
        for block in range(count):
            layers.append(Separable(narrow, wide, first if block == 0 else 1))
            narrow = wide
    return nn.Sequential(*layers, *_head(narrow, outputs, dropout))


def cnn1d(sample: Shape, outputs: int, width: int = 16, dropout: float = 0.0) -> nn.Module:
    """Return a convolutional network for sensor windows (C, L): three convolutions over time of width, 2x and 4x width."""
    if len(sample) != 2:
        raise _wrong_rank("cnn1d", "sensor windows (channels, length)", sample)
    channels, size = sample
    layers: list[nn.Module] = [_AsImage()]
    for narrow, wide in ((channels, width), (width, 2 * width), (2 * width, 4 * width)):
        stride = _stride(size)
        size = -(-size // stride)
        layers += [_conv(narrow, wide, kernel=(1, 5), stride=(1, stride)), nn.ReLU()]
    return nn.Sequential(*layers, *_head(4 * width, outputs, dropout))


def mlp(
    sample: Shape, outputs: int, hidden: Sequence[int] = (64, 64), dropout: float = 0.0, bottleneck: int | None = None
) -> nn.Module:
    """Return fully connected layers for samples of any shape; for anomaly detection an autoencoder.

    The autoencoder's layers are ``hidden``, ``bottleneck`` (8 when left out) and ``hidden`` again in reverse; it returns
    the reconstruction in the sample's own shape.
    """
    if outputs and bottleneck is not None:
        raise ModelError(
            "'bottleneck' is for anomaly detection only",
            where="model.options.bottleneck",
            to_do="remove it, or change 'hidden'",
        )
    size = prod(sample)
    if outputs:
        return nn.Sequential(nn.Flatten(), *_dense((size, *hidden), dropout), nn.Linear((size, *hidden)[-1], outputs))
    widths = (size, *hidden, bottleneck or 8, *reversed(hidden))
    return nn.Sequential(nn.Flatten(), *_dense(widths, dropout), nn.Linear(widths[-1], size), nn.Unflatten(1, sample))


ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "resnet8": resnet8,
    "resnet20": resnet20,
    "ds_cnn": ds_cnn,
    "ds_resnet": ds_resnet,
    "mlp": mlp,
    "cnn1d": cnn1d,
}


class Residual(nn.Module):
    """Two 3 x 3 convolutions around which the input is added; a 1 x 1 convolution fits it where shapes differ."""

    def __init__(self, narrow: int, wide: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(narrow, wide, stride=stride), nn.ReLU(), _conv(wide, wide))
        same = stride == 1 and narrow == wide
        self.shortcut = nn.Identity() if same else _conv(narrow, wide, kernel=1, stride=stride)
        self.relu = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, narrow, H, W) to (N, wide, H/stride, W/stride)."""
        result: Tensor = self.relu(self.body(inputs) + self.shortcut(inputs))
        return result


class Separable(nn.Module):
    """A depthwise 3 x 3 and a 1 x 1 convolution, around which the input is added where shapes are the same."""

    def __init__(self, narrow: int, wide: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(narrow, narrow, stride=stride, groups=narrow), nn.ReLU(), _conv(narrow, wide, kernel=1))
        self.residual = stride == 1 and narrow == wide
        self.relu = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, narrow, H, W) to (N, wide, H/stride, W/stride)."""
        answer = self.body(inputs)
        result: Tensor = self.relu(answer + inputs if self.residual else answer)
        return result


class _AsImage(nn.Module):
    """(N, C, L) to (N, C, 1, L): converters and NPUs handle two-dimensional convolutions where they lack the other kind."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.unsqueeze(2)


class _GlobalMean(nn.Module):
    """Mean over height and width. The axes are kept for it: else converters transpose first, and NPUs do not take the mean."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.mean((2, 3), keepdim=True).flatten(1)


def _conv(
    narrow: int, wide: int, kernel: int | tuple[int, int] = 3, stride: int | tuple[int, int] = 1, groups: int = 1
) -> nn.Module:
    height, length = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (height // 2, length // 2)
    convolution = nn.Conv2d(narrow, wide, (height, length), stride, padding, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(wide))


def _head(width: int, outputs: int, dropout: float) -> list[nn.Module]:
    # Without labels a convolutional model can only carry one anomaly score.
    return [_GlobalMean(), nn.Dropout(dropout), nn.Linear(width, outputs or 1)]


def _dense(widths: Sequence[int], dropout: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(widths):
        layers += [nn.Linear(narrow, wide), nn.ReLU(), nn.Dropout(dropout)]
    return layers


def _stride(size: int) -> int:
    return 2 if -(-size // 2) >= 2 else 1


def _image(name: str, sample: Shape) -> tuple[int, int]:
    if len(sample) != 3:
        raise _wrong_rank(name, "images (channels, height, width)", sample)
    return sample[0], min(sample[1:])


def _wrong_rank(name: str, wanted: str, sample: Shape) -> ModelError:
    fitting = {3: "'resnet8' or 'ds_cnn'", 2: "'cnn1d'"}.get(len(sample), "'mlp'")
    return ModelError(
        f"{name!r} takes {wanted}; one sample has the shape {sample}",
        where="model.architecture",
        to_do=f"use {fitting}, or correct data.preprocessing.layout",
    )
