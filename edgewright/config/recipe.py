# SPDX-License-Identifier: Apache-2.0
"""Recipes: an ordered list of passes, one config type each. Names decode: `ptq_w8a8.entropy`, `fp16`.

A rung of a ladder is a recipe. In YAML it is its name, or the passes written out:

    ladder:
      - ptq_w8a8
      - {passes: [{kind: ptq_w8a8, calibration: entropy, samples: 256}]}
      - fp16
"""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from edgewright.config.base import Config
from edgewright.errors import nearest


class PtqW8A8(Config):
    """Post-training static quantization: int8 weights and 8-bit activations, scales from the calibration split."""

    kind: Literal["ptq_w8a8"] = "ptq_w8a8"
    calibration: Literal["minmax", "entropy"] = "minmax"
    """How activation ranges are chosen: the whole range seen, or the range that keeps most information (KL divergence)."""
    per_channel: bool = True
    """One weight scale an output channel instead of one a tensor."""
    samples: Annotated[int, Field(gt=0)] | None = None
    """Calibration samples used; left out, the whole calibration split."""

    @property
    def name(self) -> str:
        """The decodable name."""
        return self.kind + ("" if self.calibration == "minmax" else f".{self.calibration}")


class Float16(Config):
    """Weights stored as float16; inputs and outputs stay float32."""

    kind: Literal["fp16"] = "fp16"

    @property
    def name(self) -> str:
        """The decodable name."""
        return self.kind


Pass = Annotated[PtqW8A8 | Float16, Field(discriminator="kind")]
PASSES: dict[str, type[PtqW8A8] | type[Float16]] = {"ptq_w8a8": PtqW8A8, "fp16": Float16}


class Rung(Config):
    """One rung of a ladder: the recipe it tries."""

    passes: Annotated[tuple[Pass, ...], Field(min_length=1)]

    @property
    def name(self) -> str:
        """Name of the recipe: the passes' names, joined by '-'."""
        return "-".join(step.name for step in self.passes)


def parse_rung(value: Any) -> Any:
    """Turn a recipe name into passes; anything but text is returned as it is.

    Raises:
        ValueError: the name does not decode; the nearest valid one is named.
    """
    if not isinstance(value, str):
        return value
    return Rung(passes=tuple(_parse_pass(part) for part in value.split("-")))


def _parse_pass(text: str) -> PtqW8A8 | Float16:
    kind, _, option = text.partition(".")
    if kind not in PASSES:
        raise ValueError(f"no pass is called {kind!r}; {nearest(kind, PASSES)}")
    fields = {"kind": kind, "calibration": option} if option else {"kind": kind}
    parsed: PtqW8A8 | Float16 = TypeAdapter(Pass).validate_python(fields)
    return parsed
