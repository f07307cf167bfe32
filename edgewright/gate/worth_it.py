# SPDX-License-Identifier: Apache-2.0
"""Worth it: an artifact that is no better than its float parent in size, latency or memory is refused."""

from dataclasses import dataclass
from typing import Literal

from edgewright.config.target import Target
from edgewright.gate.limits import latency_findings, memory_findings, size_findings
from edgewright.gate.verdict import Finding
from edgewright.gate.wording import amount
from edgewright.validation import ValidationFacts

RESIDENT_TOLERANCE = 0.05  # resident memory moves by a few percent from process to process; an arena is exact
Axis = Literal["size", "latency", "memory"]
AXIS_OF: dict[str, Axis] = {"smallest": "size", "fastest": "latency", "least_memory": "memory"}
BUDGET_KEYS: dict[Axis, str] = {"size": "size_bytes", "latency": "latency_p95_ms", "memory": "peak_memory_bytes"}


@dataclass(frozen=True)
class Compared:
    """One axis against the float parent."""

    axis: Axis
    answer: Literal["better", "same", "worse", "unknown"]
    words: str


def worth_it(target: Target, facts: ValidationFacts, parent_is_self: bool) -> Finding:
    """Pass when something is better and nothing worse, or when the trade is one the target asks for."""
    if parent_is_self:
        return Finding(rule="worth_it", outcome="pass", reason="This is the float parent itself; it has nothing to beat.")
    axes = [_size(facts), _latency(facts), _memory(facts)]
    better, worse = ([one for one in axes if one.answer == answer] for answer in ("better", "worse"))
    told = "; ".join(one.words for one in axes)
    if not better:
        reason = f"No better than its float parent in size, latency or memory: {told}."
        return Finding(rule="worth_it", outcome="fail", reason=reason)
    if not worse:
        return Finding(rule="worth_it", outcome="pass", reason=f"Better than its float parent, and worse in nothing: {told}.")
    return _trade(target, facts, better, worse, told)


def _trade(target: Target, facts: ValidationFacts, better: list[Compared], worse: list[Compared], told: str) -> Finding:
    gained, lost = (" and ".join(one.axis for one in some) for some in (better, worse))
    traded = f"It trades {lost} for {gained}: {told}"
    if target.objective is not None and AXIS_OF[target.objective] in {one.axis for one in better}:
        reason = f"{traded}. The target's objective is {target.objective}."
        return Finding(rule="worth_it", outcome="pass", reason=reason)
    unlimited = [one.axis for one in worse if not _within_budget(target, facts, one.axis)]
    if not unlimited:
        return Finding(rule="worth_it", outcome="pass", reason=f"{traded}. The target's budget allows that much {lost}.")
    keys = " and ".join(f"budget.{BUDGET_KEYS[axis]}" for axis in unlimited)
    wanted = " or ".join(objective for objective, axis in AXIS_OF.items() if axis in {one.axis for one in better})
    reason = (
        f"{traded}. If that is wanted, set objective: {wanted}, or a limit in {keys} that it keeps, on target {target.name!r}."
    )
    return Finding(rule="worth_it", outcome="fail", reason=reason)


def _within_budget(target: Target, facts: ValidationFacts, axis: Axis) -> bool:
    rules = {"size": size_findings, "latency": latency_findings, "memory": memory_findings}
    findings = rules[axis](target.budget, facts)
    return bool(findings) and all(finding.outcome == "pass" for finding in findings)


def _size(facts: ValidationFacts) -> Compared:
    mine, parents = facts.measurements.get("size_bytes"), facts.parent.get("size_bytes")
    if mine is None or parents is None:
        return Compared("size", "unknown", "size unknown")
    words = f"size {amount(mine.value, 'bytes')} against {amount(parents.value, 'bytes')}"
    return Compared("size", _answer(mine.value / parents.value, 0.0), words)


def _memory(facts: ValidationFacts) -> Compared:
    mine, parents = facts.measurements.get("peak_memory_bytes"), facts.parent.get("peak_memory_bytes")
    if mine is None or parents is None or "estimated" in (mine.evidence, parents.evidence):
        return Compared("memory", "unknown", "memory unknown")
    arenas = ["arena" in one.method.lower() for one in (mine, parents)]
    words = f"memory {amount(mine.value, 'bytes')} against {amount(parents.value, 'bytes')} ({mine.evidence})"
    if arenas[0] != arenas[1]:
        return Compared("memory", "unknown", "memory unknown (an arena is not comparable with resident memory)")
    if parents.value <= 0:
        return Compared("memory", "same" if mine.value <= 0 else "worse", words)
    return Compared("memory", _answer(mine.value / parents.value, 0.0 if all(arenas) else RESIDENT_TOLERANCE), words)


def _latency(facts: ValidationFacts) -> Compared:
    ratio = facts.ratios.get("latency_p50_ms")
    if ratio is None or ratio.low is None or ratio.high is None or ratio.evidence != "measured":
        return Compared("latency", "unknown", "latency unknown (not measured on the device)")
    words = f"median latency {ratio.value:.3g} times its parent's ({ratio.low:.3g} to {ratio.high:.3g}, n={ratio.n}, measured)"
    return Compared("latency", "better" if ratio.high < 1 else "worse" if ratio.low > 1 else "same", words)


def _answer(ratio: float, tolerance: float) -> Literal["better", "same", "worse"]:
    if ratio < 1 - tolerance:
        return "better"
    return "worse" if ratio > 1 + tolerance else "same"
