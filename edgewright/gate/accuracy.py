# SPDX-License-Identifier: Apache-2.0
"""Accuracy rules: point estimate while climbing; on test data non-inferiority to the float model and to the champion."""

import math

from edgewright.config.gate import GateConfig
from edgewright.config.target import Budget
from edgewright.gate.verdict import Finding, Outcome
from edgewright.gate.wording import amount
from edgewright.stats.paired import PairedDifference


def screen_accuracy(drop: float | None, budget: Budget, n: int, split: str) -> Finding:
    """Hold the point estimate of the drop (baseline minus artifact, positive is worse) against the budget."""
    limit = budget.max_accuracy_drop
    if drop is None:
        reason = f"The accuracy drop on {split} data is unknown: nobody measured the metric of artifact and baseline."
        return Finding(rule="accuracy", outcome="inconclusive", reason=reason, limit=limit)
    passes = drop <= limit + 1e-12
    reason = (
        f"On {n} {split} samples the metric drops by {drop:.4g} against the float baseline, "
        f"{'within' if passes else 'more than'} max_accuracy_drop {limit:.4g} (point estimate)."
    )
    return Finding(rule="accuracy", outcome="pass" if passes else "fail", reason=reason, value=_finite(drop), limit=limit)


def non_inferior_to_baseline(difference: PairedDifference, budget: Budget, config: GateConfig, level: float) -> Finding:
    """Accuracy: the artifact loses less than max_accuracy_drop against its float baseline."""
    return _non_inferior(
        "accuracy", "the float baseline", "max_accuracy_drop", difference, budget.max_accuracy_drop, config, level
    )


def non_inferior_to_champion(difference: PairedDifference, config: GateConfig, level: float, batch: str = "") -> Finding:
    """Champion: on a batch of the data, it loses less than champion_margin against the artifact whose place it wants."""
    other = f"the champion on batch {batch!r}" if batch else "the champion"
    return _non_inferior("champion", other, "champion_margin", difference, config.champion_margin, config, level)


def _non_inferior(
    rule: str, other: str, key: str, difference: PairedDifference, margin: float, config: GateConfig, level: float
) -> Finding:
    """Pass when the lower bound at ``level`` is above -margin, fail when the upper bound is below it, else inconclusive."""
    unit, lower, upper = difference.metric.unit, difference.lower(level), difference.upper(level)
    said = (
        f"On {difference.n} test samples {difference.metric.name} changes by {amount(difference.value, unit)} against {other}; "
        f"one-sided bounds at {100 * (1 - level):.4g} %: {amount(lower, unit)} to {amount(upper, unit)}"
    )
    limit, outcome, needed, why = amount(margin, unit), _answer(difference, margin, level), None, ""
    if outcome == "pass":
        why = f"so it loses less than the {limit} that {key} allows"
    elif outcome == "fail":
        why = f"so it loses more than the {limit} that {key} allows"
    else:
        needed, advice = _advice(difference, margin, level, config.power, key)
        why = f"so a loss of {limit} ({key}) is neither shown nor ruled out; {advice}"
    return Finding(
        rule=rule,
        outcome=outcome,
        reason=f"{said}, {why}.",
        value=_finite(0.0 - difference.value),
        limit=margin,
        samples_needed=needed,
    )


def _answer(difference: PairedDifference, margin: float, level: float) -> Outcome:
    if difference.p_value(margin) <= level:
        return "pass"
    return "fail" if difference.upper(level) < -margin else "inconclusive"


def _advice(difference: PairedDifference, margin: float, level: float, power: float, key: str) -> tuple[int | None, str]:
    needed = difference.samples_needed(margin, level, power)
    if needed is None:
        return None, f"no number of samples can show a loss of nothing: set {key} above 0"
    if needed > difference.n:
        return needed, f"{needed} test samples would pass an artifact without any loss in {100 * power:.3g} % of releases"
    return None, (
        f"an artifact without any loss would have passed with {needed} samples, so more samples are not what is missing: "
        f"use a gentler recipe or raise {key}"
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
