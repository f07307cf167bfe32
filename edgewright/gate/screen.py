# SPDX-License-Identifier: Apache-2.0
"""Screening: every rule that needs no test data, on validation data, while a target climbs its ladder."""

from edgewright.config.gate import GateConfig
from edgewright.config.target import Budget, Target
from edgewright.gate.accuracy import screen_accuracy
from edgewright.gate.limits import energy_findings, latency_findings, memory_findings, size_findings
from edgewright.gate.parity import parity_findings
from edgewright.gate.sanity import sanity_findings
from edgewright.gate.verdict import Finding, Verdict
from edgewright.gate.worth_it import worth_it
from edgewright.measure import Measurement
from edgewright.metrics import Metric
from edgewright.validation import ValidationFacts


def screen(
    target: Target, facts: ValidationFacts, accuracy_drop: float | None, config: GateConfig, parent_is_self: bool = False
) -> Verdict:
    """Say whether a rung is worth a look at the test data.

    Args:
        target: its budget and objective.
        facts: what validating the exported file brought back.
        accuracy_drop: baseline metric minus artifact metric, signed so that positive is worse; None when nobody took it.
        config: limits of parity.
        parent_is_self: the artifact is the float parent, so it has nothing to beat.
    """
    return Verdict(
        findings=(
            screen_accuracy(accuracy_drop, target.budget, facts.parity.n, facts.split),
            *size_findings(target.budget, facts),
            *latency_findings(target.budget, facts),
            *memory_findings(target.budget, facts),
            *energy_findings(target.budget, facts),
            *parity_findings(facts.parity, config.parity, facts.device.saturates),
            *sanity_findings(facts.sanity, config.parity),
            worth_it(target, facts, parent_is_self),
        )
    )


def screen_model(budget: Budget, metric: Metric, before: Measurement, after: Measurement, made_by: str) -> Finding | None:
    """Return the refusal of a compressed model that has lost more than the budget before it is exported; None when it stands.

    Args:
        budget: holds max_accuracy_drop.
        metric: says which way is better.
        before: the metric of the float baseline on validation data.
        after: the metric of the compressed model on the same data.
        made_by: name of the pass that made it.
    """
    drop = before.value - after.value if metric.higher_is_better else after.value - before.value
    finding = screen_accuracy(drop, budget, after.n, "validation")
    if finding.outcome == "pass":
        return None
    return finding.model_copy(update={"reason": f"After {made_by}, before any export: {finding.reason}"})
