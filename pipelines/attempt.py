# SPDX-License-Identifier: Apache-2.0
"""One rung for one target: compress the model, export, compress the file, run it on the device, and screen what came back."""

from dataclasses import dataclass
from typing import Any

from zenml.exceptions import RunInterruptedException, RunStoppedException

from edgewright.artifact import Artifact, Candidate
from edgewright.config import SplitName, Target
from edgewright.config.recipe import Rung
from edgewright.errors import EdgewrightError, StoreError
from edgewright.gate.screen import screen_model
from edgewright.gate.verdict import Finding, Verdict
from edgewright.ladder import why_not
from edgewright.metrics import metric as find_metric
from edgewright.pipelines.context import Context, Handle, Model, Toolkit, step_id
from edgewright.pipelines.every_device import on_every_device
from edgewright.plugins import create
from edgewright.report.facts import RungFacts
from edgewright.steps.compress_file import compress_file
from edgewright.steps.screen_rung import screen_rung
from edgewright.steps.validate_artifact import validate_artifact
from edgewright.validation import ValidationRun


@dataclass(frozen=True)
class Standing:
    """A rung that passed screening: what a look at the test data needs."""

    rung: Rung
    model: Model
    artifact: Handle
    parent: Handle
    screening: Handle
    digest: str


@dataclass
class Attempt:
    """One rung for one target, and what came of it."""

    context: Context
    target: Target
    rung: Rung
    facts: RungFacts | None = None
    standing: Standing | None = None
    """Set when the rung passed screening."""
    spent: dict[str, float] | None = None
    """Seconds of training behind the rung, by recipe prefix."""

    def make(self) -> RungFacts:
        """Try the rung. What cannot be made is a finding, and never stops the other targets."""
        config = self.context.config
        reason = why_not(self.rung, create("runtimes", self.target.runtime), create("frameworks", config.model.framework))
        if reason:
            return RungFacts(recipe=self.rung.name, status="skipped", reasons=(reason,))
        try:
            return self._climb()
        except (StoreError, OSError, RunInterruptedException, RunStoppedException):
            raise  # the store is everybody's, and so is an end: no other target would fare better
        except Exception as error:
            return RungFacts(recipe=self.rung.name, status="failed", reasons=(in_words(error),))

    def test(self, standing: Standing) -> Handle:
        """Run what passed screening over the test data."""
        return self._validate(standing.artifact, standing.parent, standing.model, "test", "test")

    def _climb(self) -> RungFacts:
        shared, config, toolkit = self.context, self.context.config, Toolkit.of(self.target)
        parent = shared.exported(shared.baseline, self.target, toolkit)
        model = shared.model(self.rung, self.target)
        self.spent = model.spent
        candidate: Candidate = model.candidate.load()
        facts: dict[str, Any] = {"recipe": self.rung.name, "status": "refused"}
        if self.rung.model_passes:
            facts["candidate"] = candidate.facts
        if refusal := self._lost_too_much(model, candidate):
            return RungFacts(reasons=(refusal.reason,), screening=(refusal,), **facts)
        artifact = shared.exported(model, self.target, toolkit)
        if self.rung.file_passes:
            artifact = compress_file(
                artifact,
                model.candidate,
                shared.dataset,
                toolkit.converter,
                self.rung,
                toolkit.converter_digest,
                id=step_id("convert", self.target.name, self.rung.name),
            )
        artifact = shared.unsaturated(artifact, self.target, toolkit, self.rung)
        artifact = shared.packaged(artifact, self.target, toolkit, self.rung)
        validation = self._validate(artifact, parent, model, "validation", "validate")
        screening = screen_rung(
            validation,
            shared.baseline.outputs,
            self.target,
            config.metric_name,
            config.gate,
            id=step_id("screen", self.target.name, self.rung.name),
        )
        made: Artifact = artifact.load()
        run: ValidationRun = validation.load()
        verdict: Verdict = screening.load()
        if verdict.outcome == "pass":
            self.standing = Standing(self.rung, model, artifact, parent, screening, made.digest)
        return RungFacts(
            reasons=verdict.reasons,
            screening=verdict.findings,
            artifact_digest=made.digest,
            manifest=made.facts,
            validation=run.facts,
            **facts,
        )

    def _lost_too_much(self, model: Model, candidate: Candidate) -> Finding | None:
        """Hold the compressed model itself against the accuracy budget: what is lost before export, no export brings back."""
        if not candidate.facts.passes:
            return None
        metric, outputs = self.context.config.metric_name, (self.context.baseline.outputs, model.outputs)
        before, after = (one.load().facts.measurements["validation"][metric] for one in outputs)
        return screen_model(self.target.budget, find_metric(metric), before, after, candidate.facts.passes[-1].name)

    def _validate(self, artifact: Handle, parent: Handle, model: Model, split: SplitName, word: str) -> Handle:
        config = self.context.config
        # what has a budget decides which rung stands; the rest is taken once, of the rung that does
        left_out = {"batches": (), "soak": None} if split == "validation" else {"energy": None}

        def validate(target: Target, digest: str, name: str) -> Handle:
            return validate_artifact(
                artifact,
                parent,
                self.context.dataset,
                model.outputs,
                target.model_copy(update=left_out),
                split,
                config.metric_name,
                config.measuring,
                config.seed,
                timing=split == "validation",
                plugin=digest,
                id=name,
            )

        return on_every_device(self.target, config.metric_name, validate, word, self.target.name, self.rung.name)


def in_words(error: Exception) -> str:
    """Say an error on one line, as the other reasons of a report are."""
    if isinstance(error, EdgewrightError):
        return "; ".join(part for part in (error.what, error.where, error.to_do) if part)
    return f"{type(error).__name__}: {error}"
