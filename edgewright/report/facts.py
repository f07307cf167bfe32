# SPDX-License-Identifier: Apache-2.0
"""ReleaseFacts: everything a release found out. release.json is this, the page and the MLflow run are drawn from it."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from edgewright.artifact import ArtifactManifest, CandidateFacts
from edgewright.config.data import SplitName
from edgewright.data.dataset import DataCard
from edgewright.gate.verdict import Finding, Outcome
from edgewright.measure import Frozen, Measurement
from edgewright.validation import ValidationFacts


class CheckResult(Frozen):
    """One rule the data was checked against."""

    rule: str
    passed: bool
    detail: str = Field(description="What was found; a failure names rows or files.")


class ConfusionChange(Frozen):
    """How often float model and artifact answered what, by true class, on the split the rung was judged on."""

    labels: tuple[str, ...]
    baseline: tuple[tuple[int, ...], ...] = Field(description="Rows: true class; columns: the float model's answer.")
    artifact: tuple[tuple[int, ...], ...] = Field(description="Rows: true class; columns: the artifact's answer.")


class RungFacts(Frozen):
    """One rung of one target's climb: what was tried, what was found, why it was refused."""

    recipe: str
    status: Literal["passed", "refused", "inconclusive", "failed", "skipped", "outdone"] = Field(
        description="failed: it could not be made or run; skipped: it was not tried, the reason says why; "
        "outdone: it meets the budget on validation data, and another rung is better in the target's objective."
    )
    reasons: tuple[str, ...] = ()
    screening: tuple[Finding, ...] = Field(default=(), description="Rules on validation data, while climbing.")
    gate: tuple[Finding, ...] = Field(default=(), description="Rules on test data; empty when it was not looked at.")
    alpha: float | None = Field(default=None, description="Share of gate.alpha that this look at the test data spent.")
    candidate: CandidateFacts | None = Field(
        default=None, description="The model after the rung's model passes; None without any."
    )
    artifact_digest: str | None = None
    manifest: ArtifactManifest | None = None
    validation: ValidationFacts | None = None
    test: ValidationFacts | None = None
    confusion: ConfusionChange | None = None


class TargetFacts(Frozen):
    """One target: its climb and how it ended."""

    name: str
    runtime: str
    device: str
    model: str = Field(description="Name under which the artifact is registered: <release>-<target>.")
    outcome: Outcome
    passed_rung: int | None = Field(description="Index into rungs; None when nothing passed.")
    rungs: tuple[RungFacts, ...]
    budget: dict[str, float]
    champion_before: str | None = Field(default=None, description="Digest of the champion whose place was wanted.")
    test_looks: int = Field(description="How often the test data was looked at for this target.")
    runtime_versions: dict[str, str] = Field(
        default_factory=dict, description="Distribution name to version, of what ran the file where the release ran."
    )
    bundle: str | None = Field(default=None, description="Signed bundle, below the output folder; None when nothing passed.")
    not_promoted: str | None = Field(
        default=None,
        description="Why it was not promoted though the gate passed it. No part of the release's digest.",
    )


class ReleaseFacts(Frozen):
    """Everything one release found out."""

    schema_version: Literal[1] = 1
    release: str
    edgewright: str = Field(description="Version of edgewright.")
    metric: str
    higher_is_better: bool
    config: dict[str, object] = Field(description="The whole ReleaseConfig, as JSON.")
    data: DataCard
    data_digest: str
    code_digest: str
    checks: tuple[CheckResult, ...]
    candidate: CandidateFacts
    candidate_digest: str
    baseline: dict[SplitName, dict[str, Measurement]]
    targets: tuple[TargetFacts, ...]
    toolchain: dict[str, str]
    key: str | None = Field(default=None, description="Id of the key that signed the bundles.")

    @property
    def refused(self) -> tuple[TargetFacts, ...]:
        """Targets that were not promoted."""
        return tuple(target for target in self.targets if target.outcome != "pass" or target.not_promoted)

    def with_refusals(self, not_promoted: Mapping[str, str]) -> "ReleaseFacts":
        """Return the facts with the reasons for which targets were not promoted although they passed."""
        targets = tuple(target.model_copy(update={"not_promoted": not_promoted.get(target.name)}) for target in self.targets)
        return self.model_copy(update={"targets": targets})
