# SPDX-License-Identifier: Apache-2.0
"""Recipes: an ordered list of passes. Names decode: `prune50-ptq_w8a8`, `distill.ds_cnn_w16-qat_w8a8`.

A rung of a ladder is a recipe. In YAML it is its name, or the passes written out:

    ladder:
      - ptq_w8a8
      - {passes: [{kind: prune, ratio: 0.5, rounds: 3}, {kind: ptq_w8a8, calibration: entropy}]}
"""

from itertools import combinations
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
        for earlier, later in combinations(self.passes, 2):
            if reason := _contradiction(earlier, later):
                raise ValueError(reason)
        return self


def decode(value: Any) -> Any:
    """Turn a recipe name into what is written out in YAML; anything but text is returned as it is.

    Raises:
        ValueError: the name does not decode; the nearest valid one is named.
    """
    return {"passes": [_decode_pass(part) for part in value.split("-")]} if isinstance(value, str) else value


def _contradiction(earlier: PassConfig, later: PassConfig) -> str | None:
    """Say why two passes of one recipe cannot stand in this order, and what to write instead; None where they can."""
    swap = f"put {later.name} before {earlier.name}"
    if isinstance(later, Distill) and later.student != SELF:
        return f"{later.name} starts a new student, so {earlier.name} before it would be lost: {swap}"
    if earlier.acts_on == "file":
        if later.acts_on == "model":
            return f"{later.name} works on the model and cannot follow {earlier.name}, which works on the file: {swap}"
        return f"a file is converted once: take {earlier.name} or {later.name}"
    if isinstance(earlier, QatW8A8):
        return f"{earlier.name} has to be the last pass: {later.name} after it would undo its scales"
    if isinstance(earlier, Cluster) and isinstance(later, QatW8A8):
        return f"{later.name} after {earlier.name} would move the weights apart again: write ptq_w8a8 in its place"
    if isinstance(earlier, Cluster) and later.acts_on == "model":
        return f"{later.name} after {earlier.name} would move the weights apart again: {swap}"
    if isinstance(earlier, Sparsify) and isinstance(later, Decompose):
        return f"{later.name} after {earlier.name} would lose its zeros, since factors are dense: {swap}"
    if isinstance(earlier, Sparsify) and earlier.pattern and isinstance(later, Prune):
        return f"{later.name} after {earlier.name} would take channels out of its runs, which breaks the pattern: {swap}"
    return None


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
