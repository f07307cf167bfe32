# SPDX-License-Identifier: Apache-2.0
"""DataSpec: where the data comes from, how it is split, prepared and checked."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgewright.config.base import Config

Task = Literal["classification", "regression", "anomaly"]
SplitName = Literal["train", "calibration", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "calibration", "validation", "test")
#: Axes of one stored sample. H, W: image; C: channels; L: time; F: features.
SampleLayout = Literal["HW", "HWC", "CHW", "L", "LC", "CL", "F"]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Preprocessing(Config):
    """What turns a stored sample into the model's input: `(sample * scale - mean) / std`, then the layout.

    It is declared once and travels in the ArtifactManifest, so that device and host agree.
    """

    scale: float = 1.0
    """Multiplies every stored value first: 0.00392 turns bytes into 0..1."""
    mean: tuple[float, ...] = (0.0,)
    """Subtracted after scaling: one number, or one a channel or feature."""
    std: tuple[Annotated[float, Field(gt=0)], ...] = (1.0,)
    """Divides after the mean: one number, or one a channel or feature."""
    layout: SampleLayout | None = None
    """Axes of a stored sample; left out, it is taken from the sample's shape."""


class Splits(Config):
    """Seeded fractions, or explicit sources, or both: what has a source is taken whole, the rest is drawn from train."""

    train: Fraction | str = 0.5
    """Fraction, or a source of its own (same forms as data.source)."""
    calibration: Fraction | str = 0.1
    """Post-training quantization looks at these, and at nothing else."""
    validation: Fraction | str = 0.15
    """Choices are made on these: early stopping, which rung to stop at."""
    test: Fraction | str = 0.25
    """Touched once, by the gate."""

    @model_validator(mode="after")
    def _sum(self) -> Self:
        fractions = [value for value in (self.train, self.calibration, self.validation, self.test) if isinstance(value, float)]
        if len(fractions) == 4 and abs(sum(fractions) - 1) > 1e-6:
            raise ValueError(f"the four fractions must add up to 1, they add up to {sum(fractions):g}")
        if sum(fractions) > 1 + 1e-6:
            raise ValueError(f"the fractions must not exceed 1, they add up to {sum(fractions):g}")
        return self


class DataChecks(Config):
    """Rules the data must keep before anything is trained on it. A failure names the rows or files."""

    max_missing: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Largest share of missing values (NaN or null) in any column."""
    value_range: tuple[float, float] | None = None
    """Smallest and largest value a stored sample may hold."""
    min_class_share: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Smallest share of the samples any class may have (classification)."""
    max_class_share: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Largest share of the samples any class may have (classification)."""
    allow_duplicates_across_splits: bool = False
    """Samples that stand in two splits leak; true accepts them."""
    suite: str | None = None
    """A Great Expectations suite (JSON or YAML file) of your own, run on the same table."""


class DataSpec(Config):
    """Where model inputs and labels come from."""

    source: str = "digits"
    """'digits' (scikit-learn's, built in), a .npz, .csv or .parquet file, a folder of class folders with images,
    or 'module:function'."""
    label_column: str = "label"
    """CSV and Parquet: the column that holds the label."""
    image_size: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] | None = None
    """Image folders: height and width every image is resized to; left out, all must have one size."""
    labels: tuple[str, ...] | None = None
    """Known labels in the order of the model's outputs; left out, they are taken from the data."""
    splits: Splits = Splits()
    preprocessing: Preprocessing = Preprocessing()
    checks: DataChecks = DataChecks()
