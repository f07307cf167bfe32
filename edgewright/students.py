# SPDX-License-Identifier: Apache-2.0
"""Students for `ladder: auto`: which smaller models a baseline is worth distilling into, in any framework."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from edgewright.config.model import ModelSpec
from edgewright.config.model_passes import Distill
from edgewright.errors import EdgewrightError
from edgewright.plugins import load_object

Student = tuple[str, dict[str, Any]]
"""An architecture and its options."""
Macs = Callable[[ModelSpec], int]
"""Builds a model, makes sure that it fits the data, and counts its multiply-accumulates for one sample."""
MOST = 3
"""Students that `ladder: auto` tries."""
SHARE = 0.5
"""Of the baseline's multiply-accumulates, at most this many are a student's: one that is hardly smaller is not worth a rung."""
NARROWEST, EVEN = 4, 8
"""Channels a student has at least; and of what they are a multiple where possible, since most kernels want it."""
_IMAGE = 3


def students(
    spec: ModelSpec, shipped: Mapping[str, Callable[..., Any]], sample: tuple[int, ...], outputs: int, macs: Macs
) -> tuple[Student, ...]:
    """Return up to three students of at most half the model's multiply-accumulates, largest first.

    For images the same architecture with half its width, where it has one, and `ds_resnet`, which is more accurate for its
    size; for other samples half and a quarter of the width, or else shipped models for such samples.

    Args:
        spec: the baseline.
        shipped: architectures of the framework, by name.
        sample: shape of one sample, no batch.
        outputs: length of the output vector; 0 for anomaly detection.
        macs: counts a model of the framework.

    Raises:
        ModelError: the baseline itself does not build or does not take the sample.
    """
    whole = macs(spec.model_copy(update={"training": None, "weights": None}))
    narrower, others = _narrower(spec, shipped), _shipped(len(sample), outputs)
    if len(sample) == _IMAGE and outputs:
        return _worthwhile(spec, [*narrower[:1], *others], whole, macs)
    return _worthwhile(spec, narrower, whole, macs) or _worthwhile(spec, others, whole, macs)


def _worthwhile(spec: ModelSpec, candidates: Iterable[Student], whole: int, macs: Macs) -> tuple[Student, ...]:
    """Those that build, fit and are small enough, largest first; of those with one name in a recipe, the largest."""
    found: dict[str, tuple[int, Student]] = {}
    for architecture, options in candidates:
        try:
            size = macs(ModelSpec(framework=spec.framework, architecture=architecture, options=options))
        except EdgewrightError:
            continue  # nobody asked for it
        if size <= SHARE * whole:
            name, counted = Distill(student=architecture, options=options).name, (size, (architecture, options))
            found[name] = max(found.get(name, counted), counted, key=_size)
    return tuple(student for _, student in sorted(found.values(), key=_size, reverse=True)[:MOST])


def _size(counted: tuple[int, Student]) -> int:
    return counted[0]


def _narrower(spec: ModelSpec, shipped: Mapping[str, Callable[..., Any]]) -> list[Student]:
    name = spec.architecture
    function = shipped.get(name) or load_object(name, asked_for="model.architecture")
    defaults = {key: one.default for key, one in inspect.signature(function).parameters.items()}
    given = {key: spec.options.get(key, default) for key, default in defaults.items()}
    if isinstance(given.get("width"), int):
        widths = dict.fromkeys(_channels(given["width"], part) for part in (2, 4))
        return [(name, {**spec.options, "width": width}) for width in widths]
    if name == "mlp":
        return [(name, {**spec.options, "hidden": [_channels(one, part) for one in given["hidden"]]}) for part in (2, 4)]
    return []


def _channels(width: int, part: int) -> int:
    """A part of a width, rounded down to what kernels like where that leaves something."""
    narrow = max(NARROWEST, width // part)
    return narrow - narrow % EVEN if narrow >= EVEN else narrow


def _shipped(rank: int, outputs: int) -> list[Student]:
    if not outputs or rank == 1:
        return [("mlp", {"hidden": [hidden, hidden]}) for hidden in (64, 32, 16)]
    name, widths = {2: ("cnn1d", (16, 8)), 3: ("ds_resnet", (16, 8))}[rank]
    return [(name, {"width": width}) for width in widths]
