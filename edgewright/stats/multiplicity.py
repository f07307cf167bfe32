# SPDX-License-Identifier: Apache-2.0
"""Several targets and several looks at the same test data share one alpha: Holm over targets, spending over looks."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class HolmLevel:
    """Holm's answer for one target, and the one-sided level its p-value was held against."""

    rejected: bool
    level: float


def spend(alpha: float, look: int, looks: int) -> float:
    """Share of alpha that look number ``look`` of ``looks`` possible ones may spend: half of what is left, the last all of it.

    Raises:
        ValueError: ``look`` is not one of 1 … ``looks``.
    """
    if not 1 <= look <= looks:
        raise ValueError(f"look {look} of {looks} does not exist")
    return float(alpha / 2 ** min(look, looks - 1))


def holm(p_values: Mapping[str, float], alpha: float) -> dict[str, HolmLevel]:
    """Holm's step-down test of all targets together (Holm 1979, Scandinavian Journal of Statistics 6:65-70).

    The smallest p-value is held against alpha/m, the next against alpha/(m-1), …; from the first that is above its level
    on, all are held against that level. So a target is rejected exactly when its p-value is at most its level.
    statsmodels' multipletests decides the same (tested), but gives no levels and collects garbage on each call (0.2 s).
    """
    names = sorted(p_values, key=lambda name: p_values[name])
    levels = [alpha / (len(names) - rank) for rank in range(len(names))]
    above = (rank for rank, name in enumerate(names) if not p_values[name] <= levels[rank])
    stop = next(above, len(names))
    return {name: HolmLevel(rank < stop, levels[min(rank, stop)]) for rank, name in enumerate(names)}
