# SPDX-License-Identifier: Apache-2.0
"""verdict.json: what the gate said of one artifact for one target, the numbers it said it on, and what they were taken of."""

from typing import Literal

from pydantic import Field

from edgewright.artifact import ArtifactManifest
from edgewright.gate.verdict import Finding, Outcome
from edgewright.measure import Frozen
from edgewright.report.facts import ReleaseFacts, RungFacts, TargetFacts
from edgewright.validation import ValidationFacts


class ReleaseVerdict(Frozen):
    """One artifact's verdict, in a form that stands alone."""

    schema_version: Literal[1] = 1
    release: str
    model: str = Field(description="Name under which the artifact is registered: <release>-<target>.")
    target: str
    runtime: str
    minimum_versions: dict[str, str] = Field(
        description="What runs the file, by distribution: the versions it was validated with. Nobody has tried lower ones."
    )
    device: str
    artifact: str = Field(description="Digest of the artifact that was judged.")
    recipe: str
    outcome: Outcome
    metric: str
    higher_is_better: bool
    budget: dict[str, float]
    findings: tuple[Finding, ...] = Field(description="Rules on test data: the gate's.")
    screening: tuple[Finding, ...] = Field(description="Rules on validation data, while climbing.")
    alpha: float | None = Field(description="Share of gate.alpha that this look at the test data spent.")
    test_looks: int
    champion_before: str | None = Field(description="Digest of the champion it was held against; None where there was none.")
    validation: ValidationFacts | None = None
    test: ValidationFacts | None = None
    data: str = Field(description="Digest of the dataset, all splits.")
    calibration: dict[str, str] = Field(description="Pass to digest of the samples it was calibrated on.")
    code: str = Field(description="Digest of edgewright's code and of the user's own.")
    candidate: str = Field(description="Digest of the baseline that everything was made of.")
    edgewright: str = Field(description="Version of edgewright.")


def verdict_of(facts: ReleaseFacts, target: TargetFacts) -> ReleaseVerdict:
    """Take out of a release what it says of one target that passed."""
    rung = passed_rung(target)
    return ReleaseVerdict(
        release=facts.release,
        model=target.model,
        target=target.name,
        runtime=target.runtime,
        minimum_versions=target.runtime_versions,
        device=target.device,
        artifact=rung.artifact_digest or "",
        recipe=rung.recipe,
        outcome=target.outcome,
        metric=facts.metric,
        higher_is_better=facts.higher_is_better,
        budget=target.budget,
        findings=rung.gate,
        screening=rung.screening,
        alpha=rung.alpha,
        test_looks=target.test_looks,
        champion_before=target.champion_before,
        validation=rung.validation,
        test=rung.test,
        data=facts.data_digest,
        calibration=calibration_of(rung.manifest) if rung.manifest else {},
        code=facts.code_digest,
        candidate=facts.candidate_digest,
        edgewright=facts.edgewright,
    )


def passed_rung(target: TargetFacts) -> RungFacts:
    """The rung that the gate passed."""
    assert target.passed_rung is not None, f"{target.name} passed"  # noqa: S101 - only such targets are signed
    return target.rungs[target.passed_rung]


def calibration_of(manifest: ArtifactManifest) -> dict[str, str]:
    """Digest of the calibration samples, by the pass that looked at them; empty where none did."""
    passes = manifest.quantization.items()
    return {
        name: str(told["calibration_digest"])
        for name, told in passes
        if isinstance(told, dict) and "calibration_digest" in told
    }
