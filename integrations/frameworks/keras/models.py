# SPDX-License-Identifier: Apache-2.0
"""The shipped models: layer for layer the ones of the PyTorch framework, with channels last.

Each takes the shape of one sample, the length of the output vector (0: anomaly detection) and its own options.
Strided convolutions pad on both sides, as PyTorch does, so that converted weights give the same answers.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod
from typing import Any

from edgewright.errors import ModelError
from edgewright.integrations.frameworks.keras.engine import keras

Shape = tuple[int, ...]
Model = Any
"""A ``tf_keras.Model``."""
layers = keras.layers


def resnet8(sample: Shape, outputs: int, width: int = 16, dropout: float = 0.0) -> Model:
    """Return a residual network for images (H, W, C): three residual blocks of width, 2x and 4x width.

    The image classification model of MLPerf Tiny (Banbury et al., 2021, arXiv:2106.07597); strides shrink with the
    image, so that no feature map falls below 2 x 2.
    """
    return _resnet("resnet8", sample, outputs, (width, width, 2 * width, 4 * width), dropout)


def resnet20(sample: Shape, outputs: int, width: int = 16, dropout: float = 0.0) -> Model:
    """Return the residual network of 20 layers for small images (H, W, C): three stages of three blocks each.

    The CIFAR model of He et al., 2016 (arXiv:1512.03385, section 4.2), with a 1 x 1 convolution in the two shortcuts
    that change shape; strides shrink with the image, so that no feature map falls below 2 x 2.
    """
    return _resnet("resnet20", sample, outputs, [width] * 4 + [2 * width] * 3 + [4 * width] * 3, dropout)


def ds_cnn(sample: Shape, outputs: int, width: int = 32, blocks: int = 4, dropout: float = 0.0) -> Model:
    """Return a depthwise-separable network for images or spectrograms (H, W, C).

    The keyword spotting model of Zhang et al., 2017 (arXiv:1711.07128), with 3 x 3 kernels; the first convolution
    and every second block halve the feature map while it stays at least 2 x 2.
    """
    size = _image("ds_cnn", sample)
    stride = _stride(size)
    size = -(-size // stride)
    inputs = keras.Input(sample)
    x = _relu(_conv(inputs, width, "stem", strides=(stride, stride)), "stem")
    for block in range(blocks):
        stride = _stride(size) if block % 2 else 1
        size = -(-size // stride)
        x = _relu(_conv(x, width, f"depthwise{block + 1}", strides=(stride, stride), depthwise=True), f"depthwise{block + 1}")
        x = _relu(_conv(x, width, f"pointwise{block + 1}", kernel=(1, 1)), f"pointwise{block + 1}")
    return keras.Model(inputs, _head(x, outputs, dropout))


def ds_resnet(sample: Shape, outputs: int, width: int = 8, blocks: Sequence[int] = (2, 3), dropout: float = 0.0) -> Model:
    """Return a residual network of depthwise-separable blocks for images (H, W, C): the shipped student.

    Two convolutions, width and 2x width (the second halves the image), then ``blocks[0]`` blocks of 4x width and
    ``blocks[1]`` of 6x width, whose first halves it again. Blocks as in MobileNet (Howard et al., 2017,
    arXiv:1704.04861), with the input added.
    """
    size = _image("ds_resnet", sample)
    stride, later = _stride(size), _stride(-(-size // _stride(size)))
    inputs = keras.Input(sample)
    x = _relu(_conv(inputs, width, "stem1"), "stem1")
    x = _relu(_conv(x, 2 * width, "stem2", strides=(stride, stride)), "stem2")
    wanted = [(4 * width, blocks[0], 1), (6 * width, blocks[1], later)]
    for stage, (wide, count, first) in enumerate(wanted, start=1):
        for block in range(count):
            x = _separable(x, wide, first if block == 0 else 1, f"stage{stage}_{block + 1}")
    return keras.Model(inputs, _head(x, outputs, dropout))


def cnn1d(sample: Shape, outputs: int, width: int = 16, dropout: float = 0.0) -> Model:
    """Return a convolutional network for sensor windows (L, C): three convolutions over time of width, 2x and 4x width."""
    if len(sample) != 2:
        raise _wrong_rank("cnn1d", "sensor windows (length, channels)", sample)
    size = sample[0]
    inputs = keras.Input(sample)
    x = layers.Reshape((1, *sample), name="as_image")(inputs)  # two-dimensional convolutions are handled everywhere
    for number, wide in enumerate((width, 2 * width, 4 * width), start=1):
        stride = _stride(size)
        size = -(-size // stride)
        x = _relu(_conv(x, wide, f"conv{number}", kernel=(1, 5), strides=(1, stride)), f"conv{number}")
    return keras.Model(inputs, _head(x, outputs, dropout))


def mlp(
    sample: Shape, outputs: int, hidden: Sequence[int] = (64, 64), dropout: float = 0.0, bottleneck: int | None = None
) -> Model:
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
    inputs = keras.Input(sample)
    x = layers.Flatten(name="flatten")(inputs) if len(sample) > 1 else inputs
    widths = tuple(hidden) if outputs else (*hidden, bottleneck or 8, *reversed(hidden))
    for number, wide in enumerate(widths, start=1):
        x = layers.Dense(wide, activation="relu", name=f"dense{number}")(x)
        x = layers.Dropout(dropout, name=f"dropout{number}")(x) if dropout else x
    x = layers.Dense(outputs or size, name="out")(x)
    return keras.Model(inputs, x if outputs or len(sample) == 1 else layers.Reshape(sample, name="as_sample")(x))


ARCHITECTURES: dict[str, Callable[..., Model]] = {
    "resnet8": resnet8,
    "resnet20": resnet20,
    "ds_cnn": ds_cnn,
    "ds_resnet": ds_resnet,
    "mlp": mlp,
    "cnn1d": cnn1d,
}


def _resnet(name: str, sample: Shape, outputs: int, widths: Sequence[int], dropout: float) -> Model:
    size = _image(name, sample)
    inputs = keras.Input(sample)
    x = _relu(_conv(inputs, widths[0], "stem"), "stem")
    for block, (narrow, wide) in enumerate(pairwise(widths), start=1):
        stride = _stride(size) if wide > narrow else 1
        size = -(-size // stride)
        x = _residual(x, narrow, wide, stride, f"block{block}")
    return keras.Model(inputs, _head(x, outputs, dropout))


def _residual(x: Any, narrow: int, wide: int, stride: int, name: str) -> Any:
    """Two 3 x 3 convolutions around which the input is added; a 1 x 1 convolution fits it where shapes differ."""
    strides = (stride, stride)
    body = _conv(_relu(_conv(x, wide, f"{name}_1", strides=strides), f"{name}_1"), wide, f"{name}_2")
    same = stride == 1 and narrow == wide
    shortcut = x if same else _conv(x, wide, f"{name}_shortcut", kernel=(1, 1), strides=strides)
    return _relu(layers.Add(name=f"{name}_add")([body, shortcut]), name)


def _separable(x: Any, wide: int, stride: int, name: str) -> Any:
    """A depthwise 3 x 3 and a 1 x 1 convolution, around which the input is added where shapes are the same."""
    depthwise = _relu(_conv(x, wide, f"{name}_depthwise", strides=(stride, stride), depthwise=True), f"{name}_depthwise")
    body = _conv(depthwise, wide, f"{name}_pointwise", kernel=(1, 1))
    same = stride == 1 and x.shape[-1] == wide
    return _relu(layers.Add(name=f"{name}_add")([body, x]) if same else body, name)


def _conv(
    x: Any,
    wide: int,
    name: str,
    kernel: tuple[int, int] = (3, 3),
    strides: tuple[int, int] = (1, 1),
    depthwise: bool = False,
) -> Any:
    padding = "same" if strides == (1, 1) else "valid"
    if padding == "valid" and kernel != (1, 1):
        # 'same' would pad a strided convolution on one side only
        x = layers.ZeroPadding2D((kernel[0] // 2, kernel[1] // 2), name=f"{name}_pad")(x)
    given: dict[str, Any] = {"strides": strides, "padding": padding, "use_bias": False, "name": f"{name}_conv"}
    layer = layers.DepthwiseConv2D(kernel, **given) if depthwise else layers.Conv2D(wide, kernel, **given)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(layer(x))


def _relu(x: Any, name: str) -> Any:
    return layers.ReLU(name=f"{name}_relu")(x)


def _head(x: Any, outputs: int, dropout: float) -> Any:
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dropout(dropout, name="dropout")(x) if dropout else x
    # Without labels a convolutional model can only carry one anomaly score.
    return layers.Dense(outputs or 1, name="out")(x)


def _stride(size: int) -> int:
    return 2 if -(-size // 2) >= 2 else 1


def _image(name: str, sample: Shape) -> int:
    if len(sample) != 3:
        raise _wrong_rank(name, "images (height, width, channels)", sample)
    return min(sample[:2])


def _wrong_rank(name: str, wanted: str, sample: Shape) -> ModelError:
    fitting = {3: "'resnet8' or 'ds_cnn'", 2: "'cnn1d'"}.get(len(sample), "'mlp'")
    return ModelError(
        f"{name!r} takes {wanted}; one sample has the shape {sample}",
        where="model.architecture",
        to_do=f"use {fitting}, or correct data.preprocessing.layout",
    )
