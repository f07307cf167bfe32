# SPDX-License-Identifier: Apache-2.0
"""Which rung a target tries next: the next one of a written ladder, or of `ladder: auto` the next that can help."""

from dataclasses import dataclass, field

from edgewright.auto_ladder import Planned, Tried, cannot_help, missed_axes, plan
from edgewright.config import Target
from edgewright.config.passes import Axis
from edgewright.config.recipe import Rung
from edgewright.gate.worth_it import AXIS_OF
from edgewright.pipelines.context import Context
from edgewright.plugins import create
from edgewright.report.facts import RungFacts


@dataclass
class Rungs:
    """A target's ladder, rung by rung; with `auto`, what was seen decides which of them are left out."""

    target: Target
    written: list[Rung] = field(default_factory=list)
    planned: list[Planned] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    looks: int = 0
    """How often the test data can be looked at, at most: once a rung."""

    @classmethod
    def of(cls, context: Context, target: Target) -> "Rungs":
        """Work out the ladder of one target."""
        ladder = context.config.ladder_of(target)
        if ladder != "auto":
            return cls(target, written=list(ladder), looks=len(ladder))
        planned = plan(create("runtimes", target.runtime), context.framework, context.students)
        return cls(target, planned=list(planned), looks=max(1, sum(not one.never for one in planned)))

    def skipped(self, best: RungFacts | None) -> list[RungFacts]:
        """Take the rungs off the ladder that cannot help now, each with its reason; the next one left is to be tried."""
        left_out = []
        while self.planned and (reason := self._why_not(self.planned[0], best)):
            left_out.append(RungFacts(recipe=self.planned.pop(0).rung.name, status="skipped", reasons=(reason,)))
        return left_out

    def next(self) -> Rung | None:
        """Take the next rung off the ladder; None at its end."""
        if self.planned:
            self.tried.append(Tried(self.planned.pop(0), frozenset()))
            return self.tried[-1].planned.rung
        return self.written.pop(0) if self.written else None

    def learn(self, rung: RungFacts) -> None:
        """Note what the rung tried last has missed: by the gate on test data where it got that far, else by screening."""
        if self.tried and self.tried[-1].planned.rung.name == rung.recipe:
            broken = [finding.rule for finding in rung.gate or rung.screening if finding.outcome != "pass"]
            self.tried[-1] = Tried(self.tried[-1].planned, missed_axes(broken), worth_it="worth_it" not in broken)

    def _why_not(self, planned: Planned, best: RungFacts | None) -> str | None:
        known = {one.planned.rung.name: one.planned for one in self.tried}
        better_than = known.get(best.recipe) if best is not None else None
        axis: Axis | None = AXIS_OF[self.target.objective] if self.target.objective else None
        return cannot_help(planned, self.tried, better_than, axis)
