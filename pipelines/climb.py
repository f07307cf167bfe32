# SPDX-License-Identifier: Apache-2.0
"""One target's way up its ladder: rung after rung, until one stands; for an objective further, and then the best first."""

from dataclasses import dataclass, field

from edgewright.config import Target
from edgewright.config.recipe import Rung
from edgewright.errors import DeviceError
from edgewright.gate.verdict import Outcome, Verdict
from edgewright.gate.worth_it import AXIS_OF
from edgewright.measure import Measurement
from edgewright.pipelines.attempt import Attempt, Standing, in_words
from edgewright.pipelines.context import Context, Handle
from edgewright.pipelines.every_device import on_every_device
from edgewright.pipelines.rungs import Rungs
from edgewright.registry import Champion
from edgewright.report.facts import RungFacts
from edgewright.steps.validate_champion import validate_champion

#: by axis: the ratio or measurement that ranks, the first that was taken; an estimate ranks where nothing is measured
_RANKED_BY = {"size": ("size_bytes",), "latency": ("latency_p50_ms", "latency_ms"), "memory": ("peak_memory_bytes",)}


@dataclass
class Stop:
    """A rung that passed screening, with all the gate needs to judge it."""

    index: int
    artifact: Handle
    test: Handle
    screening: Handle
    champion_before: Champion | None
    champion: Handle | None


@dataclass
class Climb:
    """Where one target stands on its ladder."""

    context: Context
    target: Target
    champions: tuple[Champion | None, ...]
    """The champion of this target, and the one before it."""
    ladder: Rungs
    rungs: list[RungFacts] = field(default_factory=list)
    stop: Stop | None = None
    passed: bool = False
    judged: Stop | None = None
    """What the gate judged last."""
    looks: int = 0
    _standing: dict[int, tuple[Attempt, Standing]] = field(default_factory=dict)
    """Rungs that passed screening and were not judged yet, by their index."""
    _spent: dict[str, float] = field(default_factory=dict)
    _champion_runs: dict[str, Handle] = field(default_factory=dict)

    def to_next_stop(self) -> Stop | None:
        """Climb on until there is something to judge; None when the ladder is at its end."""
        self.stop = None
        while self.stop is None:
            while not self._at_rest() and (rung := self._next()):
                attempt = Attempt(self.context, self.target, rung)
                self.rungs.append(attempt.make())
                self.ladder.learn(self.rungs[-1])
                self._spent |= attempt.spent or {}
                if attempt.standing:
                    self._standing[len(self.rungs) - 1] = attempt, attempt.standing
            if not self._standing:
                return None
            self.stop = self._stop_at(self._best())
        return self.stop

    def settle(self, verdict: Verdict, alpha: float) -> None:
        """Take the gate's verdict on the stop: stay there, or leave the rung behind."""
        assert self.stop is not None, "a verdict is on a stop"  # noqa: S101
        status = {"pass": "passed", "fail": "refused", "inconclusive": "inconclusive"}[verdict.outcome]
        judged = {"status": status, "reasons": verdict.reasons, "gate": verdict.findings, "alpha": alpha}
        self.rungs[self.stop.index] = self.rungs[self.stop.index].model_copy(update=judged)
        self.ladder.learn(self.rungs[self.stop.index])
        self.looks += 1
        self.judged = self.stop
        self.passed = verdict.outcome == "pass"
        if self.passed:
            self._leave_the_others()

    def _at_rest(self) -> bool:
        """Whether no further rung is tried before the next look: one stands, or with an objective, the search is over."""
        if self.target.objective is None:
            return bool(self._standing)
        search, tried = self.context.config.search, sum(rung.status != "skipped" for rung in self.rungs)
        minutes = sum(self._spent.values()) / 60
        return bool(self._standing) and (tried >= search.trials or (search.minutes is not None and minutes >= search.minutes))

    def _next(self) -> Rung | None:
        best = self.rungs[self._best()] if self._standing and self.target.objective else None
        self.rungs += self.ladder.skipped(best)
        return self.ladder.next()

    def _best(self) -> int:
        """Index of the standing rung to judge first: the best in the objective, or the only one."""
        if self.target.objective is None:
            return next(iter(self._standing))
        names = _RANKED_BY[AXIS_OF[self.target.objective]]

        def cost(index: int) -> float:
            run = self.rungs[index].validation
            of_all = [each.get(name) for name in names for each in (run.ratios, run.measurements)] if run else []
            taken: Measurement | None = next((one for one in of_all if one), None)
            return taken.value if taken else float("inf")

        return min(self._standing, key=cost)

    def _stop_at(self, index: int) -> Stop | None:
        """Run a rung over the test data; one whose device fails there is a finding, as it is while climbing."""
        attempt, standing = self._standing.pop(index)
        try:
            test = attempt.test(standing)
            facts = test.load().facts
        except DeviceError as error:
            failed = {"status": "failed", "reasons": (in_words(error),)}
            self.rungs[index] = self.rungs[index].model_copy(update=failed)
            self.ladder.learn(self.rungs[index])
            return None
        self.rungs[index] = self.rungs[index].model_copy(update={"test": facts})
        before = self._champion_before(standing.digest)
        return Stop(index, standing.artifact, test, standing.screening, before, self._validate_champion(before))

    def _leave_the_others(self) -> None:
        """Say of the rungs that were never judged why: a better one was promoted."""
        assert self.stop is not None, "something passed"  # noqa: S101
        taken = self.rungs[self.stop.index].recipe
        for index in self._standing:
            reason = (
                f"It meets the budget on validation data; {taken} is better in what the objective {self.target.objective} asks."
            )
            self.rungs[index] = self.rungs[index].model_copy(update={"status": "outdone", "reasons": (reason,)})

    def _champion_before(self, challenger: str) -> Champion | None:
        """Return whose place is wanted; once the challenger is champion itself, that is the one it replaced."""
        others = [champion for champion in self.champions if champion and champion.digest != challenger]
        return others[0] if others else None

    def _validate_champion(self, champion: Champion | None) -> Handle | None:
        """Run the champion over the test data, once for all rungs that want its place."""
        if champion is None:
            return None
        shared, config = self.context, self.context.config

        def validate(target: Target, digest: str, name: str) -> Handle:
            return validate_champion(
                champion,
                shared.tracking,
                shared.dataset,
                shared.baseline.outputs,
                target.model_copy(update={"batches": (), "soak": None, "energy": None}),
                config.metric_name,
                config.measuring,
                config.seed,
                plugin=digest,
                id=name,
            )

        if champion.version not in self._champion_runs:
            parts = "champion", self.target.name, champion.version
            self._champion_runs[champion.version] = on_every_device(self.target, config.metric_name, validate, *parts)
        return self._champion_runs[champion.version]


def outcome_of(climb: Climb) -> Outcome:
    """Pass, or what the last rung that was judged came to: inconclusive, else fail."""
    if climb.passed:
        return "pass"
    return "inconclusive" if any(rung.status == "inconclusive" for rung in climb.rungs) else "fail"
