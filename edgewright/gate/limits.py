# SPDX-License-Identifier: Apache-2.0
"""Hard limits of the budget: size, latency percentiles, peak memory and energy of the exported file."""

from edgewright.config.target import Budget
from edgewright.gate.verdict import Finding, Outcome
from edgewright.gate.wording import amount
from edgewright.measure import Measurement
from edgewright.stats.quantile import PERCENTILES, runs_needed
from edgewright.validation import ValidationFacts


def size_findings(budget: Budget, facts: ValidationFacts) -> list[Finding]:
    """Hold all files together against size_bytes; no finding without that limit."""
    return _point_limit("size", "size_bytes", budget.size_bytes, facts)


def memory_findings(budget: Budget, facts: ValidationFacts) -> list[Finding]:
    """Hold the largest peak seen against peak_memory_bytes; an emulated tensor arena is exact for the interpreter."""
    return _point_limit("memory", "peak_memory_bytes", budget.peak_memory_bytes, facts)


def latency_findings(budget: Budget, facts: ValidationFacts) -> list[Finding]:
    """Hold the upper bound of each percentile that has a limit against it; what a compiler estimates keeps none."""
    limits = ((name, getattr(budget, name)) for name in PERCENTILES)
    estimate = facts.measurements.get("latency_ms")
    return [_latency(name, limit, facts.measurements.get(name), estimate) for name, limit in limits if limit is not None]


def energy_findings(budget: Budget, facts: ValidationFacts) -> list[Finding]:
    """Hold the upper end of the interval of energy_mj against its limit; no finding without one."""
    limit, seen = budget.energy_mj, facts.measurements.get("energy_mj")
    if limit is None:
        return []
    if seen is None or seen.high is None or seen.evidence != "measured":
        why = facts.unknown.get("energy_mj", "the target does not say how it is taken (energy: rapl, or a meter's file)")
        if seen is not None:
            why = f"{amount(seen.value, 'mJ')}, but {seen.evidence}" if seen.evidence != "measured" else "it was taken once"
        reason = f"energy_mj is not known well enough to hold its limit of {limit:g} mJ: {why}."
        return [Finding(rule="energy", outcome="inconclusive", reason=reason, limit=limit)]
    outcome, why = _bounded(seen, limit)
    reason = (
        f"energy_mj is {seen.value:.4g} mJ an inference (bounds {seen.low:.4g} to {seen.high:.4g} mJ, n={seen.n}, "
        f"{seen.evidence}): {why} the limit of {limit:g} mJ."
    )
    return [Finding(rule="energy", outcome=outcome, reason=reason, value=seen.value, limit=limit)]


def _point_limit(rule: str, name: str, limit: int | None, facts: ValidationFacts) -> list[Finding]:
    if limit is None:
        return []
    seen = facts.measurements.get(name)
    if seen is None:
        reason = (
            f"{name} is unknown: nobody measured it on {facts.device.name}, so its limit of {limit:,} bytes cannot be held."
        )
        return [Finding(rule=rule, outcome="inconclusive", reason=reason, limit=limit)]
    if seen.evidence == "estimated":
        reason = f"{name} is only estimated ({amount(seen.value, 'bytes')}); its limit of {limit:,} bytes wants a measurement."
        return [Finding(rule=rule, outcome="inconclusive", reason=reason, value=seen.value, limit=limit)]
    within = seen.value <= limit
    reason = (
        f"{name} is {amount(seen.value, 'bytes')} (n={seen.n}, {seen.evidence}), "
        f"{'within' if within else 'above'} the limit of {limit:,} bytes."
    )
    return [Finding(rule=rule, outcome="pass" if within else "fail", reason=reason, value=seen.value, limit=limit)]


def _latency(name: str, limit: float, seen: Measurement | None, estimate: Measurement | None) -> Finding:
    if seen is None and estimate is not None:
        reason = (
            f"{name} is unknown: one inference is only estimated ({amount(estimate.value, 'ms')}); "
            f"its limit of {limit:g} ms has to be measured on the device."
        )
        return Finding(rule="latency", outcome="inconclusive", reason=reason, value=estimate.value, limit=limit)
    if seen is None or seen.high is None:
        reason = (
            f"{name} is unknown: its upper bound needs at least {runs_needed(PERCENTILES[name])} runs; "
            f"raise measuring.invocations or measuring.processes to hold its limit of {limit:g} ms."
        )
        return Finding(rule="latency", outcome="inconclusive", reason=reason, limit=limit)
    if seen.evidence != "measured":
        reason = (
            f"{name} is {seen.value:.4g} ms, but {seen.evidence}: the limit of {limit:g} ms has to be measured on the device."
        )
        return Finding(rule="latency", outcome="inconclusive", reason=reason, value=seen.value, limit=limit)
    outcome, why = _bounded(seen, limit)
    low = "unknown" if seen.low is None else f"{seen.low:.4g}"
    reason = (
        f"{name} is {seen.value:.4g} ms (bounds {low} to {seen.high:.4g} ms, n={seen.n}, {seen.evidence}): "
        f"{why} the limit of {limit:g} ms."
    )
    return Finding(rule="latency", outcome=outcome, reason=reason, value=seen.value, limit=limit)


def _bounded(seen: Measurement, limit: float) -> tuple[Outcome, str]:
    if seen.high is not None and seen.high <= limit:
        return "pass", "the upper bound keeps"
    if seen.low is not None and seen.low > limit:
        return "fail", "even the lower bound breaks"
    return "inconclusive", "the bounds lie on both sides of, and more runs would decide on,"
