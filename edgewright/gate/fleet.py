# SPDX-License-Identifier: Apache-2.0
"""The verdict on a fleet: rule by rule, what the worst of its devices says, with the device's name."""

from collections.abc import Mapping

from edgewright.gate.verdict import Finding, Verdict

_LESS_IS_WORSE = ("parity", "worst_class")
"""Rules whose value is a share that should be large."""


def worst_of(verdicts: Mapping[str, Verdict]) -> Verdict:
    """Return the verdict on a fleet.

    All have to pass each rule. What a device breaks, or leaves open, is said of it; a rule that all keep is shown by the
    device that is nearest to its limit.

    Args:
        verdicts: by the name of the device; a single one is returned as it is.
    """
    if len(verdicts) == 1:
        return next(iter(verdicts.values()))
    by_rule: dict[str, list[tuple[str, Finding]]] = {}
    for device, verdict in verdicts.items():
        for finding in verdict.findings:
            by_rule.setdefault(finding.rule, []).append((device, finding))
    return Verdict(findings=tuple(finding for found in by_rule.values() for finding in _of_rule(found)))


def _of_rule(found: list[tuple[str, Finding]]) -> list[Finding]:
    broken = [(device, finding) for device, finding in found if finding.outcome != "pass"]
    return [_named(device, finding) for device, finding in broken or [_nearest_to_limit(found)]]


def _nearest_to_limit(found: list[tuple[str, Finding]]) -> tuple[str, Finding]:
    def badness(one: tuple[str, Finding]) -> float:
        _, finding = one
        if finding.value is None:
            return float("-inf")
        return -finding.value if finding.rule in _LESS_IS_WORSE else finding.value

    return max(found, key=badness)


def _named(device: str, finding: Finding) -> Finding:
    return finding.model_copy(update={"reason": f"{device}: {finding.reason}"})
