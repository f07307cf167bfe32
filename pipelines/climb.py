# SPDX-License-Identifier: Apache-2.0
"""One target's way up its ladder: compress, validate and screen rung after rung, until one stands."""

from dataclasses import dataclass, field
from typing import Any

from edgewright.artifact import Artifact, Candidate
from edgewright.config import SplitName, Target
from edgewright.config.recipe import Rung
from edgewright.errors import EdgewrightError, StoreError
from edgewright.gate.screen import screen_model
from edgewright.gate.verdict import Finding, Outcome, Verdict
from edgewright.ladder import why_not
from edgewright.metrics import metric as find_metric
from edgewright.pipelines.context import Context, Handle, Model, Toolkit, place_of, step_id
from edgewright.plugins import create
from edgewright.registry import Champion
from edgewright.report.facts import RungFacts
from edgewright.steps.compress_file import compress_file
from edgewright.steps.screen_rung import screen_rung
from edgewright.steps.validate_artifact import validate_artifact
from edgewright.steps.validate_champion import validate_champion
from edgewright.validation import ValidationRun


@dataclass
class Stop:
    """A rung that passed screening, with all the gate needs to judge it."""

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
    rungs: list[RungFacts] = field(default_factory=list)
    stop: Stop | None = None
    passed: bool = False
    looks: int = 0
    _champion_runs: dict[str, Handle] = field(default_factory=dict)

    def to_next_stop(self) -> Stop | None:
        """Climb on until a rung passes screening; None when the ladder is at its end."""
        self.stop = None
        ladder = self.context.config.ladder_of(self.target)
        while self.stop is None and len(self.rungs) < len(ladder):
            self.rungs.append(self._try(ladder[len(self.rungs)]))
        return self.stop

    def settle(self, verdict: Verdict, alpha: float) -> None:
        """Take the gate's verdict on the stop: stay there, or leave the rung behind."""
        status = {"pass": "passed", "fail": "refused", "inconclusive": "inconclusive"}[verdict.outcome]
        judged = {"status": status, "reasons": verdict.reasons, "gate": verdict.findings, "alpha": alpha}
        self.rungs[-1] = self.rungs[-1].model_copy(update=judged)
        self.looks += 1
        self.passed = verdict.outcome == "pass"

    def _try(self, rung: Rung) -> RungFacts:
        config = self.context.config
        reason = why_not(rung, create("runtimes", self.target.runtime), create("frameworks", config.model.framework))
        if reason:
            return RungFacts(recipe=rung.name, status="skipped", reasons=(reason,))
        try:
            return self._attempt(rung)
        except (StoreError, OSError):
            raise  # the store is everybody's: no other target would fare better
        except Exception as error:  # a rung that cannot be made is a finding, and never stops the other targets
            return RungFacts(recipe=rung.name, status="failed", reasons=(_in_words(error),))

    def _attempt(self, rung: Rung) -> RungFacts:
        shared, config, toolkit = self.context, self.context.config, Toolkit.of(self.target)
        name = (self.target.name, rung.name)
        parent = shared.exported(shared.baseline, self.target, toolkit)
        model = shared.model(rung, self.target)
        candidate: Candidate = model.candidate.load()
        facts: dict[str, Any] = {"candidate": candidate.facts} if rung.model_passes else {}
        if refusal := self._lost_too_much(model):
            return RungFacts(recipe=rung.name, status="refused", reasons=(refusal.reason,), screening=(refusal,), **facts)
        artifact = shared.exported(model, self.target, toolkit)
        if rung.file_passes:
            digest = toolkit.exporter_digest
            artifact = compress_file(artifact, shared.dataset, toolkit.exporter, rung, digest, id=step_id("convert", *name))
        validation = self._validate(artifact, parent, model, toolkit, "validation", step_id("validate", *name))
        screening = screen_rung(
            validation, shared.baseline.outputs, self.target, config.metric_name, config.gate, id=step_id("screen", *name)
        )
        made: Artifact = artifact.load()
        run: ValidationRun = validation.load()
        verdict: Verdict = screening.load()
        facts |= {"artifact_digest": made.digest, "manifest": made.facts, "validation": run.facts}
        if verdict.outcome == "pass":
            test = self._validate(artifact, parent, model, toolkit, "test", step_id("test", *name))
            before = self._champion_before(made.digest)
            self.stop = Stop(artifact, test, screening, before, self._validate_champion(before, toolkit))
            facts["test"] = test.load().facts
        return RungFacts(recipe=rung.name, status="refused", reasons=verdict.reasons, screening=verdict.findings, **facts)

    def _lost_too_much(self, model: Model) -> Finding | None:
        """Hold the compressed model itself against the accuracy budget: what is lost before export, no export brings back."""
        metric, passes = self.context.config.metric_name, model.candidate.load().facts.passes
        if not passes:
            return None
        before, after = (
            one.load().facts.measurements["validation"][metric] for one in (self.context.baseline.outputs, model.outputs)
        )
        return screen_model(self.target.budget, find_metric(metric), before, after, passes[-1].name)

    def _validate(
        self, artifact: Handle, parent: Handle, model: Model, toolkit: Toolkit, split: SplitName, name: str
    ) -> Handle:
        config = self.context.config
        return validate_artifact(
            artifact,
            parent,
            self.context.dataset,
            model.outputs,
            place_of(self.target),
            split,
            config.metric_name,
            config.measuring,
            config.seed,
            timing=split == "validation",
            plugin=toolkit.device_digest,
            id=name,
        )

    def _champion_before(self, challenger: str) -> Champion | None:
        """Return whose place is wanted; once the challenger is champion itself, that is the one it replaced."""
        others = [champion for champion in self.champions if champion and champion.digest != challenger]
        return others[0] if others else None

    def _validate_champion(self, champion: Champion | None, toolkit: Toolkit) -> Handle | None:
        """Run the champion over the test data, once for all rungs that want its place."""
        if champion is None:
            return None
        shared, config = self.context, self.context.config
        if champion.version not in self._champion_runs:
            self._champion_runs[champion.version] = validate_champion(
                champion,
                shared.tracking,
                shared.dataset,
                shared.baseline.outputs,
                place_of(self.target),
                config.metric_name,
                config.measuring,
                config.seed,
                plugin=toolkit.device_digest,
                id=step_id("champion", self.target.name, champion.version),
            )
        return self._champion_runs[champion.version]


def _in_words(error: Exception) -> str:
    """Say an error on one line, as the other reasons of a report are."""
    if isinstance(error, EdgewrightError):
        return "; ".join(part for part in (error.what, error.where, error.to_do) if part)
    return f"{type(error).__name__}: {error}"


def outcome_of(climb: Climb) -> Outcome:
    """Pass, or what the last rung that was judged came to: inconclusive, else fail."""
    if climb.passed:
        return "pass"
    return "inconclusive" if any(rung.status == "inconclusive" for rung in climb.rungs) else "fail"
