# SPDX-License-Identifier: Apache-2.0
"""DataSpec: where the data comes from, how it is split, prepared and checked."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from edgewright.config.base import Config
from edgewright.onboard.front_end import frame_length, hop_length

Task = Literal["classification", "regression", "anomaly"]
SplitName = Literal["train", "calibration", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "calibration", "validation", "test")
#: Axes of one stored sample. H, W: image; C: channels; L: time; F: features.
SampleLayout = Literal["HW", "HWC", "CHW", "L", "LC", "CL", "F"]
#: how the data of `data.source` is called beside batches that were added to it
FIRST_BATCH = "first"
Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]


class Spectral(Config):
    """What log-mel and MFCC front ends share: frames under a Hann window, their power spectrum, mel bands, logarithm."""

    sample_rate: Annotated[int, Field(gt=0)]
    """Of the stored waveform, in Hz."""
    frame_ms: Positive = 40.0
    """Length of a frame."""
    hop_ms: Positive = 20.0
    """From the start of one frame to the start of the next."""
    bands: Annotated[int, Field(gt=0)] = 40
    """Mel bands, equally wide on the HTK mel scale."""
    low_frequency: Annotated[float, Field(ge=0)] = 20.0
    """Lower edge of the first band, in Hz."""
    high_frequency: Positive | None = None
    """Upper edge of the last band, in Hz; left out, half the sample rate."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self.model_fields_set.add("kind")  # configurations travel without what was not set
        nyquist, high = self.sample_rate / 2, self.high_frequency
        if high is not None and high > nyquist:
            raise ValueError(f"high_frequency {high:g} is above half the sample rate, {nyquist:g}")
        if self.low_frequency >= (high or nyquist):
            raise ValueError(f"low_frequency {self.low_frequency:g} is not below high_frequency, {high or nyquist:g}")
        frame, hop = frame_length(self), hop_length(self)
        if frame < 2 or hop < 1:
            raise ValueError(f"frame_ms and hop_ms give {frame} and {hop} samples at {self.sample_rate} Hz: raise them")
        return self


class LogMel(Spectral):
    """Log-mel spectrogram: the waveform becomes an image of one channel, (frames, bands)."""

    kind: Literal["log_mel"] = "log_mel"


class MFCC(Spectral):
    """Mel-frequency cepstral coefficients: the waveform becomes an image of one channel, (frames, coefficients)."""

    kind: Literal["mfcc"] = "mfcc"
    coefficients: Annotated[int, Field(gt=0)] = 10
    """The first so many of the orthonormal DCT-II over the bands; 10 of 40 as in Zhang et al., 2017 (arXiv:1711.07128)."""

    @model_validator(mode="after")
    def _no_more_than_bands(self) -> Self:
        if self.coefficients > self.bands:
            raise ValueError(f"{self.coefficients} coefficients cannot be taken of {self.bands} bands")
        return self


FrontEnd = Annotated[LogMel | MFCC, Field(discriminator="kind")]


class Preprocessing(Config):
    """What turns a stored sample into the model's input: `(sample * scale - mean) / std`, then the layout.

    A front end stands between scale and mean. It is declared once and travels in the ArtifactManifest, so that device
    and host agree.
    """

    scale: float = 1.0
    """Multiplies every stored value first: 0.00392 turns bytes into 0..1."""
    mean: tuple[float, ...] = (0.0,)
    """Subtracted after scaling: one number, or one a channel or feature (behind a front end: one a band or coefficient)."""
    std: tuple[Positive, ...] = (1.0,)
    """Divides after the mean: one number, or one a channel or feature (behind a front end: one a band or coefficient)."""
    layout: SampleLayout | None = None
    """Axes of a stored sample; left out, it is taken from the sample's shape (and the front end)."""
    front_end: FrontEnd | None = None
    """For waveforms (layout L): 'kind: log_mel' or 'kind: mfcc' makes an image of one channel, (frames, bands), of each."""

    @model_validator(mode="after")
    def _front_end_takes_waveforms(self) -> Self:
        if self.front_end is not None and self.layout not in (None, "L"):
            raise ValueError(f"front_end takes waveforms (layout: L); layout is {self.layout}")
        return self


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
        # what is left out may turn out to have samples of its own in the source: only what is written counts here
        written = [value for name in self.model_fields_set if isinstance(value := getattr(self, name), float)]
        if len(written) == 4 and abs(sum(written) - 1) > 1e-6:
            raise ValueError(f"the four fractions must add up to 1, they add up to {sum(written):g}")
        if sum(written) > 1 + 1e-6:
            raise ValueError(f"the fractions must not exceed 1, they add up to {sum(written):g}")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # read back, a default would count as written, and the fractions would add up to more than 1
        return {split: value for split, value in serialize(self).items() if split in self.model_fields_set}


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


class AddedData(Config):
    """A batch of data that came later, such as a month from the field."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,49}$")]
    """By which report and gate call it; letters, digits, '_', '.', '-'."""
    source: str
    """A source as `data.source`, with samples of the same kind; its samples are split by the same fractions."""


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
    added: tuple[AddedData, ...] = ()
    """Data that came later. Each batch is split by itself, so that what was test data stays test data, and the gate holds
    a challenger against the champion on each batch."""

    @model_validator(mode="after")
    def _distinct_batches(self) -> Self:
        names = [FIRST_BATCH, *(batch.name for batch in self.added)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two batches of data are called {twice[0]!r} ({FIRST_BATCH!r} is data.source itself)")
        return self
