# SPDX-License-Identifier: Apache-2.0
"""The worst class against its own floor, by exact binomial bounds (Clopper and Pearson 1934)."""

import math
from collections.abc import Mapping

from edgewright.gate.verdict import Finding

ClassCounts = Mapping[str, tuple[int, int]]
"""Samples answered right, and samples, by class name."""


def worst_class_p_value(counts: ClassCounts, floor: float) -> float:
    """p-value of H0: some class is below the floor. Every class has to show it, so the largest counts (Berger 1982)."""
    from scipy.stats import binomtest

    p_values = [binomtest(right, total, floor, "greater").pvalue if total else 1.0 for right, total in counts.values()]
    return float(max(p_values, default=1.0))


def worst_class(counts: ClassCounts, floor: float, level: float, power: float) -> Finding:
    """Pass when every class's lower bound reaches the floor, fail when a class's upper bound is below it."""
    if not counts or any(total == 0 for _, total in counts.values()):
        missing = ", ".join(name for name, (_, total) in counts.items() if total == 0) or "any class"
        reason = f"min_class_accuracy {floor:.4g} cannot be judged: the test data hold no sample of {missing}."
        return Finding(rule="worst_class", outcome="inconclusive", reason=reason, limit=floor)
    bounds = {name: _bounds(right, total, level) for name, (right, total) in counts.items()}
    failing = min(bounds, key=lambda name: bounds[name][1])
    weakest = failing if bounds[failing][1] < floor else min(bounds, key=lambda name: bounds[name][0])
    (right, total), (lower, upper) = counts[weakest], bounds[weakest]
    said = (
        f"Class {weakest!r} is right in {right} of {total} test samples ({100 * right / total:.1f} %; "
        f"one-sided bounds at {100 * (1 - level):.4g} %: {100 * lower:.1f} % to {100 * upper:.1f} %)"
    )
    value, needed = right / total, None
    if upper < floor:
        outcome, why = "fail", f"below min_class_accuracy {100 * floor:.1f} %"
    elif worst_class_p_value(counts, floor) <= level:
        outcome, why = "pass", f"and every class reaches min_class_accuracy {100 * floor:.1f} %"
    else:
        needed, advice = _needed(counts, weakest, floor, level, power)
        outcome, why = "inconclusive", f"so min_class_accuracy {100 * floor:.1f} % is neither shown nor ruled out; {advice}"
    return Finding.model_validate(
        {
            "rule": "worst_class",
            "outcome": outcome,
            "reason": f"{said}, {why}.",
            "value": value,
            "limit": floor,
            "samples_needed": needed,
        }
    )


def _bounds(right: int, total: int, level: float) -> tuple[float, float]:
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(right, total, alpha=2 * level, method="beta")
    return float(low), float(high)


def _needed(counts: ClassCounts, name: str, floor: float, level: float, power: float) -> tuple[int | None, str]:
    """Test samples that would decide a class as good as this one seems, by the arcsine approximation (Cohen 1988, ch. 6)."""
    from statsmodels.stats.power import NormalIndPower
    from statsmodels.stats.proportion import proportion_effectsize

    right, total = counts[name]
    effect = abs(float(proportion_effectsize(right / total, floor)))
    if effect < 1e-3:
        return None, "the class lies on the floor, so no practical number of samples would decide"
    of_class = float(NormalIndPower().solve_power(effect, alpha=level, power=power, ratio=0, alternative="larger"))
    share = total / sum(all_of_class for _, all_of_class in counts.values())
    of_class = max(of_class, total + 1)
    needed = math.ceil(of_class / share)
    return needed, f"about {math.ceil(of_class)} samples of this class ({needed} test samples) would decide it"
