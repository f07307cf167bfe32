# SPDX-License-Identifier: Apache-2.0
"""Recipes: an ordered list of passes. Names decode: `prune50-ptq_w8a8`, `distill.ds_cnn_w16-qat_w8a8`.

A rung of a ladder is a recipe. In YAML it is its name, or the passes written out:

    ladder:
      - ptq_w8a8
      - {passes: [{kind: prune, ratio: 0.5, rounds: 3}, {kind: ptq_w8a8, calibration: entropy}]}
"""

from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from edgewright.config.base import Config
from edgewright.config.file_passes import DynamicW8, Float16, Palettize, PtqW8A8, PtqW8A16, WeightOnlyW4, WeightOnlyW8
from edgewright.config.model_passes import SELF, Cluster, Decompose, Distill, Prune, QatW8A8, Sparsify
from edgewright.config.passes import PassConfig
from edgewright.errors import nearest

Pass = Annotated[
    Distill
    | Prune
    | Sparsify
    | Decompose
    | Cluster
    | QatW8A8
    | PtqW8A8
    | PtqW8A16
    | DynamicW8
    | WeightOnlyW8
    | WeightOnlyW4
    | Palettize
    | Float16,
    Field(discriminator="kind"),
]
_MODEL_PASSES = (Distill, Prune, Sparsify, Decompose, Cluster, QatW8A8)
_FILE_PASSES = (PtqW8A8, PtqW8A16, DynamicW8, WeightOnlyW8, WeightOnlyW4, Palettize, Float16)
PASSES: dict[str, type[PassConfig]] = {one.model_fields["kind"].default: one for one in (*_MODEL_PASSES, *_FILE_PASSES)}


class Rung(Config):
    """One rung of a ladder: the recipe it tries."""

    passes: Annotated[tuple[Pass, ...], Field(min_length=1)]
    label: str | None = None
    """Name of your own in place of the decodable one, for rungs that differ only in what a name does not say."""

    @classmethod
    def of(cls, name: str) -> Self:
        """Decode a recipe name, such as 'prune50-ptq_w8a8'.

        Raises:
            ValueError: it does not decode, or contradicts itself.
        """
        return cls.model_validate(decode(name))

    @property
    def name(self) -> str:
        """Name of the recipe: the passes' names, joined by '-'."""
        return self.label or "-".join(step.name for step in self.passes)

    @property
    def model_passes(self) -> tuple[PassConfig, ...]:
        """Passes on the live model."""
        return tuple(step for step in self.passes if step.acts_on == "model")

    @property
    def file_passes(self) -> tuple[PassConfig, ...]:
        """Passes on the exported file."""
        return tuple(step for step in self.passes if step.acts_on == "file")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for first, second in pairwise(self.passes):
            if first.acts_on == "file" and second.acts_on == "model":
                raise ValueError(f"{second.name} works on the model and cannot follow {first.name}, which works on the file")
        for index, step in enumerate(self.passes):
            before, after = self.passes[:index], self.passes[index + 1 :]
            if isinstance(step, Distill) and step.student != SELF and before:
                raise ValueError(f"{step.name} starts a new student, so {before[-1].name} before it would be lost: swap them")
            if isinstance(step, QatW8A8) and after:
                raise ValueError(f"{step.name} has to be the last pass: {after[0].name} after it would undo its scales")
            if isinstance(step, Cluster) and any(later.acts_on == "model" for later in after):
                raise ValueError(f"{after[0].name} after {step.name} would move the weights apart again: swap them")
            if step.acts_on == "file" and after:
                raise ValueError(f"a file is converted once: take {step.name} or {after[0].name}")
        return self


def decode(value: Any) -> Any:
    """Turn a recipe name into what is written out in YAML; anything but text is returned as it is.

    Raises:
        ValueError: the name does not decode; the nearest valid one is named.
    """
    return {"passes": [_decode_pass(part) for part in value.split("-")]} if isinstance(value, str) else value


def _distinct(rungs: tuple[Rung, ...]) -> tuple[Rung, ...]:
    names = [rung.name for rung in rungs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two rungs are called {twice[0]!r}; leave one out, or give it a 'label' of its own")
    return rungs


def _is_auto(value: Any) -> str:
    return "auto" if value == "auto" else "rungs"


def _no_text(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(f"got {value!r}; must be 'auto', or a list of recipes such as [ptq_w8a8, fp16]")
    return value


_Rungs = Annotated[
    tuple[Annotated[Rung, BeforeValidator(decode)], ...],
    Field(min_length=1),
    AfterValidator(_distinct),
    BeforeValidator(_no_text),
]
Ladder = Annotated[Annotated[Literal["auto"], Tag("auto")] | Annotated[_Rungs, Tag("rungs")], Discriminator(_is_auto)]
"""Recipes in the order they are tried; 'auto': the order the field advises, worked out for each target while it climbs."""


def _decode_pass(text: str) -> dict[str, Any]:
    for kind in sorted(PASSES, key=len, reverse=True):
        suffix = text.removeprefix(kind)
        if text.startswith(kind) and (not suffix or suffix[0] == "." or suffix[0].isdigit()):
            return PASSES[kind].decode(suffix)
    kind = text.partition(".")[0]
    raise ValueError(f"no pass is called {kind!r}; {nearest(kind, PASSES)}")
