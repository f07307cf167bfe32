# SPDX-License-Identifier: Apache-2.0
"""`ladder: auto`: the rungs the field advises, in its order, and which of them cannot help after what was seen.

Quantize; keep more where that cost accuracy; prune and quantize; distill into a smaller student and train it quantized;
both together last (the order of Han et al., 2016, arXiv:1510.00149, with students before combinations, as in
Gholami et al., 2021, arXiv:2103.13630, section V). Nothing here measures: the climb does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from edgewright.config.passes import Axis
from edgewright.config.recipe import Rung
from edgewright.framework import Framework
from edgewright.ladder import why_not
from edgewright.runtime import Runtime

Family = Literal["none", "prune", "distill", "both"]
_CAPACITY: frozenset[Axis] = frozenset({"size", "latency", "memory"})
_AXIS_OF_RULE: dict[str, Axis] = {
    "accuracy": "accuracy",
    "worst_class": "accuracy",
    "champion": "accuracy",
    "parity": "accuracy",
    "size": "size",
    "latency": "latency",
    "memory": "memory",
}


@dataclass(frozen=True)
class Planned:
    """A rung, and where it stands among the others: what is known before anything is measured."""

    rung: Rung
    family: Family
    shrinks: int
    """How far the model is made smaller; comparable within a family, and with 'none', which shrinks nothing."""
    exact: int
    """How much of the model's accuracy its number format keeps: int8 after training, chosen calibration, trained, float16."""
    bytes: int
    """Bytes a weight, and with them time and memory: 1 for int8, 2 for what keeps more."""
    never: str = ""
    """Why it is not to be tried at all; empty where it may help."""


@dataclass(frozen=True)
class Tried:
    """A planned rung and which axes of the budget it missed; all kept: an empty set."""

    planned: Planned
    missed: frozenset[Axis]
    worth_it: bool = True
    """Whether it was better than the float file, or traded what the target may trade."""


def plan(runtime: Runtime, framework: Framework, students: Sequence[tuple[str, dict[str, Any]]]) -> tuple[Planned, ...]:
    """Return all rungs in their order; those that framework or runtime cannot perform say so in ``never``.

    Args:
        runtime: what executes the target's files.
        framework: what performs model passes.
        students: architectures with options, largest first, that the model may be distilled into.
    """
    rungs = _all(runtime.channel_multiple, students)
    return tuple(replace(one, never=why_not(one.rung, runtime, framework) or one.never) for one in rungs)


def cannot_help(planned: Planned, tried: Sequence[Tried], better_than: Planned | None, axis: Axis | None) -> str | None:
    """Say in a sentence why a rung cannot help after what was tried; None when it may.

    Args:
        planned: the rung.
        tried: what was tried before, and what it missed.
        better_than: the best rung that has met the budget, when the climb goes on for an objective.
        axis: what that objective makes small.
    """
    if planned.never:
        return planned.never
    for one in tried:
        if "accuracy" in one.missed and _no_more_accurate(planned, one.planned):
            return f"{one.planned.rung.name} missed the accuracy budget, and {planned.rung.name} keeps no more of it"
        capacity = one.missed & _CAPACITY
        if capacity and _no_smaller(planned, one.planned):
            return f"{one.planned.rung.name} missed the {_and(capacity)} budget, and {planned.rung.name} needs no less"
        if not one.worth_it and planned.bytes == one.planned.bytes and _no_smaller(planned, one.planned):
            return f"{one.planned.rung.name} was not worth it, and {planned.rung.name} has the same size and number format"
    if better_than is not None and axis in _CAPACITY and _no_smaller(planned, better_than):
        return f"{better_than.rung.name} meets the budget, and {planned.rung.name} cannot be better in {axis}"
    return None


def missed_axes(rules: Sequence[str]) -> frozenset[Axis]:
    """Axes of the budget that stand behind the names of rules an artifact broke."""
    return frozenset(_AXIS_OF_RULE[rule] for rule in rules if rule in _AXIS_OF_RULE)


def _all(multiple: int, students: Sequence[tuple[str, dict[str, Any]]]) -> list[Planned]:
    int8, trained = {"kind": "ptq_w8a8"}, {"kind": "qat_w8a8", "distill": True}
    chosen = {"kind": "ptq_w8a8", "calibration": "auto", "fallback": "float"}
    rungs = [
        _planned([int8], "none", 0, exact=0, size=1),
        _planned([chosen], "none", 0, exact=1, size=2),
        _planned([trained], "none", 0, exact=2, size=1),
        _planned([{"kind": "fp16"}], "none", 0, exact=3, size=2),
        _planned([_pruned(0.5, multiple), int8], "prune", 1, exact=0, size=1),
        _planned([_pruned(0.5, multiple), trained], "prune", 1, exact=2, size=1),
        _planned([_pruned(0.75, multiple), trained], "prune", 2, exact=2, size=1),
        _planned([{"kind": "sparsify", "ratio": 0.7}, int8], "none", 0, exact=0, size=1, never=_DENSE),
    ]
    for index, (architecture, options) in enumerate(students):
        student = {"kind": "distill", "student": architecture, "options": options}
        rungs.append(_planned([student, trained], "distill", 1 + index, exact=2, size=1))
    if students:
        architecture, options = students[0]
        student = {"kind": "distill", "student": architecture, "options": options}
        rungs.append(_planned([student, _pruned(0.5, multiple), trained], "both", 3, exact=2, size=1))
    return rungs


_DENSE = "zeros take as many bytes and as much time as other weights: the runtime's kernels are dense"


def _pruned(ratio: float, multiple: int) -> dict[str, Any]:
    return {"kind": "prune", "ratio": ratio, "round_to": multiple}


def _planned(passes: list[dict[str, Any]], family: Family, shrinks: int, *, exact: int, size: int, never: str = "") -> Planned:
    return Planned(Rung.model_validate({"passes": passes}), family, shrinks, exact, size, never)


def _comparable(one: Planned, other: Planned) -> bool:
    return one.family == other.family or "none" in (one.family, other.family)


def _no_more_accurate(one: Planned, other: Planned) -> bool:
    return _comparable(one, other) and one.shrinks >= other.shrinks and one.exact <= other.exact


def _no_smaller(one: Planned, other: Planned) -> bool:
    return _comparable(one, other) and one.shrinks <= other.shrinks and one.bytes >= other.bytes


def _and(axes: frozenset[Axis]) -> str:
    return " and ".join(sorted(axes))
