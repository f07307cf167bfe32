# SPDX-License-Identifier: Apache-2.0
"""Sign what a release passed, or what was promoted by an override: one bundle a target."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.artifact import Artifact
from edgewright.report.facts import ReleaseFacts, TargetFacts
from edgewright.trust.bom import bill_of_materials
from edgewright.trust.signed import Contents
from edgewright.trust.statement import statement
from edgewright.trust.verdict import Override, verdict_of

if TYPE_CHECKING:
    from securesystemslib.signer import Signer


def sign_target(
    facts: ReleaseFacts,
    target: TargetFacts,
    artifact: Artifact,
    run_id: str,
    finished: datetime,
    signer: "Signer",
    out: Path,
    reference: bytes | None = None,
    override: Override | None = None,
) -> str:
    """Write the signed bundle of a target; the same input and an ed25519 key give the same bytes.

    Args:
        facts: the release.
        target: one of its targets.
        artifact: what passed for it; with an override, what was judged.
        run_id: of the MLflow run that recorded the release.
        finished: when that run began.
        signer: the private key.
        out: file to write.
        reference: sketches of the training data, as JSON.
        override: whose decision it was, where it did not pass.

    Returns:
        The sha256 (hex) of the bundle.
    """
    verdict = verdict_of(facts, target, artifact.digest, override)
    contents = Contents.of(artifact, verdict, bill_of_materials(facts, verdict, artifact, finished), reference)
    return contents.pack(statement(facts, verdict, artifact, run_id, finished, contents.digests), signer, out)
