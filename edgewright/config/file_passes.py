# SPDX-License-Identifier: Apache-2.0
"""Passes on exported files: quantization and reduced precision, performed by the runtime that executes the file."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgewright.config.passes import Axis, PassConfig, PositiveInt

Calibration = Literal["minmax", "entropy", "percentile", "auto"]
Fallback = Literal["float", "int16"]


class StaticQuantization(PassConfig):
    """Post-training static quantization with scales from the calibration split: what ptq_w8a8 and ptq_w8a16 share."""

    acts_on: ClassVar[Literal["model", "file"]] = "file"
    improves: ClassVar[frozenset[Axis]] = frozenset({"size", "latency", "memory"})

    calibration: Calibration = "minmax"
    """How activation ranges are chosen: the whole range seen ('minmax'), the range that keeps most information ('entropy',
    KL divergence), all but the outermost 0.01 % ('percentile'), or whichever of the three comes closest to the float
    model on calibration samples held back ('auto')."""
    per_channel: bool = True
    """One weight scale an output channel instead of one a tensor."""
    samples: PositiveInt | None = None
    """Calibration samples used; left out, the whole calibration split."""
    fallback: Fallback | None = None
    """Accuracy-aware: take the fewest layers, most sensitive first, back to 'float' or 'int16' activations until the file
    keeps fallback_agreement on calibration samples held back."""
    fallback_agreement: Annotated[float, Field(gt=0, le=1)] = 0.99
    """Share of held-back calibration samples on which file and float model name the same class (for values: 1 minus the
    root mean square error over the outputs' standard deviation)."""

    @property
    def chooses(self) -> bool:
        """Whether the pass makes a choice, for which a part of the calibration split is held back."""
        return self.calibration == "auto" or self.fallback is not None

    def suffix(self) -> str:
        """Calibration and fallback, where they differ from the default."""
        calibration = "" if self.calibration == "minmax" else f".{self.calibration}"
        fallback = "" if self.fallback is None else ".fallback" if self.fallback == "float" else ".fallback16"
        return calibration + fallback

    @classmethod
    def words(cls) -> dict[str, dict[str, Any]]:
        """Calibration methods, and where sensitive layers go."""
        methods: dict[str, dict[str, Any]] = {one: {"calibration": one} for one in ("entropy", "percentile", "auto")}
        return methods | {"fallback": {"fallback": "float"}, "fallback16": {"fallback": "int16"}}


class PtqW8A8(StaticQuantization):
    """Post-training static quantization: int8 weights and 8-bit activations, scales from the calibration split."""

    kind: Literal["ptq_w8a8"] = "ptq_w8a8"


class PtqW8A16(StaticQuantization):
    """Post-training static quantization with int8 weights and 16-bit activations: more exact, slower on most processors."""

    improves: ClassVar[frozenset[Axis]] = frozenset({"size", "accuracy"})
    kind: Literal["ptq_w8a16"] = "ptq_w8a16"

    @model_validator(mode="after")
    def _wider(self) -> Self:
        if self.fallback == "int16":
            raise ValueError("fallback 'int16' changes nothing: all its activations have 16 bits; take 'float'")
        return self


class DynamicW8(PassConfig):
    """Weights stored in 8 bits; activations are quantized while it runs, by the range each tensor has. No calibration."""

    acts_on: ClassVar[Literal["model", "file"]] = "file"
    improves: ClassVar[frozenset[Axis]] = frozenset({"size", "accuracy"})
    kind: Literal["dynamic_w8"] = "dynamic_w8"


class WeightOnlyW8(PassConfig):
    """Weights of convolutions and matrix multiplications stored as int8, a scale an output channel; activations stay float."""

    acts_on: ClassVar[Literal["model", "file"]] = "file"
    improves: ClassVar[frozenset[Axis]] = frozenset({"size", "accuracy"})
    kind: Literal["wo_w8"] = "wo_w8"


class WeightOnlyW4(PassConfig):
    """Weights of large matrix multiplications stored as int4, a scale for each block of them; activations stay float."""

    acts_on: ClassVar[Literal["model", "file"]] = "file"
    improves: ClassVar[frozenset[Axis]] = frozenset({"size"})
    kind: Literal["wo_w4"] = "wo_w4"
    block_size: Literal[16, 32, 64, 128] | None = None
    """Weights that share a scale; left out, what the runtime has: 32 in ONNX Runtime and OpenVINO, a whole output channel
    in LiteRT."""


class Palettize(PassConfig):
    """Each layer's weights stored as indices into a palette of a few float values, found by k-means; activations stay float."""

    acts_on: ClassVar[Literal["model", "file"]] = "file"
    improves: ClassVar[frozenset[Axis]] = frozenset({"size"})
    kind: Literal["palettize"] = "palettize"
    bits: Literal[2, 4, 6, 8] = 4
    """Bits of an index: a palette has 2**bits values."""

    def suffix(self) -> str:
        """Bits of an index."""
        return str(self.bits)

    @classmethod
    def amount(cls, digits: str) -> dict[str, Any]:
        """Read the bits of an index."""
        return {"bits": int(digits)}


class Float16(PassConfig):
    """Weights stored as float16; inputs and outputs stay float32."""

    acts_on: ClassVar[Literal["model", "file"]] = "file"
    improves: ClassVar[frozenset[Axis]] = frozenset({"size", "accuracy"})
    kind: Literal["fp16"] = "fp16"
