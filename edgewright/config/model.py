# SPDX-License-Identifier: Apache-2.0
"""ModelSpec: which model, from which weights, trained how."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edgewright.config.base import Config

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
PositiveInt = Annotated[int, Field(gt=0)]
FORMATS = {".onnx": "onnx", ".tflite": "tflite"}
"""Suffix of a file that a release can start from, to the framework that takes it over."""
WEIGHTS = "weights.safetensors"
"""File of a candidate that its weights are in, whichever framework can load them again."""


class Schedule(Config):
    """How the learning rate falls."""

    kind: Literal["constant", "cosine", "step"] = "cosine"
    warmup_epochs: Annotated[int, Field(ge=0)] = 0
    """Epochs over which the rate rises linearly from 0."""
    step_epochs: PositiveInt = 10
    """Step: epochs between two falls."""
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Step: factor of each fall."""


class Augmentation(Config):
    """Chance changes of each training batch, in preprocessed units; calibration, validation and test are left as they are."""

    flip: bool = False
    """Images: left to right, half of the time."""
    shift: Annotated[int, Field(ge=0)] = 0
    """Images: up to so many pixels along both axes; series: time steps. What is left empty is zero."""
    noise: NonNegative = 0.0
    """Standard deviation of normal noise added to every value."""


class Training(Config):
    """How the weights are found."""

    epochs: PositiveInt = 20
    batch_size: PositiveInt = 64
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Positive = 3e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """SGD only."""
    schedule: Schedule = Schedule()
    l1: NonNegative = 0.0
    """Weight of the sum of absolute weights in the loss."""
    l2: NonNegative = 1e-4
    """Weight decay of the optimizer (decoupled in AdamW)."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Classification only."""
    augmentation: Augmentation = Augmentation()
    """What makes every epoch's samples a little different."""
    early_stopping: PositiveInt | None = None
    """Epochs without a better validation score before training stops; the best epoch's weights are kept in any case."""
    deterministic: bool = False
    """Only deterministic kernels; the same seed then gives the same weights on the same machine."""


class ModelSpec(Config):
    """The network, its starting weights and its training; or a finished float file."""

    framework: str = "pytorch"
    """Name of an installed framework integration; of a 'file' it is the file's format."""
    file: str | None = None
    """An exported float model (.onnx, .tflite) to start from in place of an architecture: nothing is trained, and only passes
    on files can be performed."""
    architecture: str = "resnet8"
    """A shipped model ('resnet8', 'resnet20', 'ds_cnn', 'ds_resnet', 'mlp', 'cnn1d') or 'module:function' returning a model."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the architecture, such as {width: 16, dropout: 0.1}."""
    weights: str | None = None
    """File of pretrained weights (a state_dict, or .safetensors) to start from, or the folder of a baseline that a release
    has recorded, which is named as the new model's parent."""
    allow_pickle: bool = False
    """Your written consent to unpickle 'weights', which can run any code. Without it only plain tensors are read."""
    training: Training | None = Training()
    """null: no training at all, 'weights' are used as they are."""

    @model_validator(mode="before")
    @classmethod
    def _file_alone(cls, given: Any) -> Any:
        """Of a file, its format is the framework, and there is nothing to build or to train."""
        if not isinstance(given, dict) or given.get("file") is None:
            return given
        named = {**given, "framework": _format(str(given["file"])), "architecture": "", "training": None}
        unused = {name: cls.model_fields[name].get_default(call_default_factory=True) for name in ("options", "weights")}
        wrong = [key for key, value in given.items() if value != (named | unused)[key]]
        if wrong:
            raise ValueError(f"{wrong[0]!r} does not go with 'file': a finished file is taken as it is, remove one of the two")
        return named

    @property
    def weights_file(self) -> Path | None:
        """The file of 'weights', also where they are a recorded baseline's folder; None where there are none."""
        given = Path(self.weights) if self.weights else None
        return given / WEIGHTS if given and given.is_dir() else given

    @property
    def title(self) -> str:
        """What a person calls it: the architecture, or the file's name."""
        return Path(self.file).name if self.file else self.architecture


def _format(file: str) -> str:
    suffix = Path(file).suffix
    if suffix not in FORMATS:
        raise ValueError(
            f"a release cannot start from a file of type {suffix or '(none)'!r}; it can from: {', '.join(FORMATS)}"
        )
    return FORMATS[suffix]
