# SPDX-License-Identifier: Apache-2.0
"""The gate's words: a finding a rule, a verdict a target."""

from typing import Literal

from pydantic import Field

from edgewright.measure import Frozen

Outcome = Literal["pass", "fail", "inconclusive"]


class Finding(Frozen):
    """What one rule says, with its reason in a sentence."""

    rule: str = Field(description="accuracy, worst_class, latency, size, memory, energy, parity, sanity, worth_it, champion.")
    outcome: Outcome
    reason: str
    value: float | None = Field(default=None, description="The number that was judged, where there is one.")
    limit: float | None = Field(default=None, description="What it was held against.")
    samples_needed: int | None = Field(default=None, description="Inconclusive: how many test samples would decide it.")


class Verdict(Frozen):
    """All findings of one look at one artifact. A gate fails closed: without findings the verdict is 'fail'."""

    findings: tuple[Finding, ...]

    @property
    def outcome(self) -> Outcome:
        """Fail if any rule fails, else inconclusive if any is, else pass."""
        outcomes = {finding.outcome for finding in self.findings}
        if not outcomes or "fail" in outcomes:
            return "fail"
        return "inconclusive" if "inconclusive" in outcomes else "pass"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences of every finding that is not a pass."""
        return tuple(finding.reason for finding in self.findings if finding.outcome != "pass")
