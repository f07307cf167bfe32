# SPDX-License-Identifier: Apache-2.0
"""verdict.json: what the gate said of one artifact for one target, on which numbers, and who overrode it, if anyone."""

from typing import Literal

from pydantic import AwareDatetime, Field

from edgewright.artifact import ArtifactManifest
from edgewright.gate.verdict import Finding, Outcome
from edgewright.measure import Frozen
from edgewright.report.facts import ReleaseFacts, RungFacts, TargetFacts
from edgewright.validation import ValidationFacts


class Override(Frozen):
    """A person's decision to promote what the gate did not pass, as the history has it."""

    who: str = Field(max_length=200, description="What the signer called itself.")
    key: str = Field(description="Id of the key that signed the history's entry, and signs this bundle.")
    when: AwareDatetime
    why: str = Field(max_length=2000)
    overruled: tuple[str, ...] = Field(description="What spoke against it.")


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
    override: Override | None = Field(default=None, description="Set where it is no pass, and was promoted all the same.")


def verdict_of(facts: ReleaseFacts, target: TargetFacts, artifact: str, override: Override | None = None) -> ReleaseVerdict:
    """Take out of a release what it says of the artifact with this digest, which the gate judged for a target."""
    rung = judged_rung(target, artifact)
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
        override=override,
    )


def judged_rung(target: TargetFacts, artifact: str) -> RungFacts:
    """The rung that the gate passed; where it passed none, the one that it judged this artifact of."""
    if target.passed_rung is not None:
        return target.rungs[target.passed_rung]
    return next(rung for rung in target.rungs if rung.gate and rung.artifact_digest == artifact)


def calibration_of(manifest: ArtifactManifest) -> dict[str, str]:
    """Digest of the calibration samples, by the pass that looked at them; empty where none did."""
    passes = manifest.quantization.items()
    return {
        name: str(told["calibration_digest"])
        for name, told in passes
        if isinstance(told, dict) and "calibration_digest" in told
    }
