# SPDX-License-Identifier: Apache-2.0
"""The provenance of a bundle: an in-toto Statement v1 with SLSA's provenance v1 as its predicate.

Sources: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md and https://slsa.dev/spec/v1.0/provenance.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from edgewright.artifact import Artifact
from edgewright.report.facts import ReleaseFacts
from edgewright.trust.verdict import ReleaseVerdict

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD = "urn:edgewright:build:edge_release:1"
BUILDER = "urn:edgewright:pipeline:edge_release"


class _Read(BaseModel):
    """What is read of a statement; others may say more, as SLSA asks of readers to let them."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Descriptor(_Read):
    """A file, data or code by its digest (in-toto's ResourceDescriptor)."""

    name: str = ""
    uri: str = ""
    digest: dict[str, str] = Field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """The digest, or nothing where it is by another method."""
        return self.digest.get("sha256", "")


class BuildDefinition(_Read):
    """What was built, from what."""

    build_type: Literal["urn:edgewright:build:edge_release:1"] = Field(alias="buildType")
    external: dict[str, Any] = Field(alias="externalParameters")
    dependencies: tuple[Descriptor, ...] = Field(alias="resolvedDependencies")


class Builder(_Read):
    """Which program built it."""

    id: str
    version: dict[str, str] = Field(default_factory=dict)


class Metadata(_Read):
    """Which run it was."""

    run_id: str = Field(alias="invocationId")
    """Id of the MLflow run that recorded the release."""
    finished: AwareDatetime = Field(alias="finishedOn")
    """When that run began: everything had been judged by then."""


class RunDetails(_Read):
    """Who built it, and when."""

    builder: Builder
    metadata: Metadata


class Predicate(_Read):
    """SLSA's provenance v1."""

    definition: BuildDefinition = Field(alias="buildDefinition")
    run: RunDetails = Field(alias="runDetails")


class Statement(_Read):
    """Which files are spoken of, and where they come from."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subjects: tuple[Descriptor, ...] = Field(alias="subject", min_length=1)
    predicate_type: Literal["https://slsa.dev/provenance/v1"] = Field(alias="predicateType")
    predicate: Predicate

    def depends_on(self, name: str) -> str:
        """Digest of a dependency by its name; empty where it is not named."""
        return next((one.sha256 for one in self.predicate.definition.dependencies if one.name == name), "")


def statement(
    facts: ReleaseFacts, verdict: ReleaseVerdict, artifact: Artifact, run_id: str, finished: datetime, files: Mapping[str, str]
) -> bytes:
    """Write the statement as JSON, the same for the same input.

    Args:
        facts: the release.
        verdict: of the artifact for its target.
        artifact: what was judged.
        run_id: of the MLflow run that recorded the release.
        finished: when that run began.
        files: name to sha256 of all that the statement is about.
    """
    manifest = artifact.facts
    digests = {"data": verdict.data, "code": verdict.code, "candidate": verdict.candidate, "parent": manifest.parent}
    digests["warm_start"] = facts.candidate.parent or ""
    digests |= {f"calibration/{name}": digest for name, digest in verdict.calibration.items()}
    tools = {**facts.toolchain, **manifest.toolchain}
    page = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(files.items())],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD,
                "externalParameters": {
                    "release": facts.release,
                    "target": {"name": verdict.target, "runtime": verdict.runtime, "device": verdict.device},
                    "recipe": verdict.recipe,
                    "configuration": {"sha256": _digest(facts.config)},
                },
                "internalParameters": {"quantization": manifest.quantization},
                "resolvedDependencies": [
                    *({"name": name, "digest": {"sha256": digest}} for name, digest in sorted(digests.items()) if digest),
                    *({"name": name, "uri": f"pkg:pypi/{name.lower()}@{version}"} for name, version in sorted(tools.items())),
                ],
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {"edgewright": facts.edgewright}},
                "metadata": {"invocationId": run_id, "finishedOn": finished.isoformat()},
            },
        },
    }
    return json.dumps(page, indent=1, sort_keys=True).encode()


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
