# SPDX-License-Identifier: Apache-2.0
"""Record the release in the tracker, sign what passed and promote it."""

from pathlib import Path
from typing import Annotated

from zenml import step

from edgewright.artifact import Artifact
from edgewright.config import Signing, Tracking
from edgewright.plugins import create
from edgewright.progress import stage
from edgewright.registry import require_champion
from edgewright.report.facts import ReleaseFacts
from edgewright.trust.keys import signer_for
from edgewright.trust.release import sign_target
from edgewright.trust.signed import SUFFIX


@step(enable_cache=False)
def promote_release(
    facts: ReleaseFacts,
    digest: str,
    artifacts: list[Artifact],
    names: list[str],
    tracking: Tracking,
    signing: Signing,
    files: str,
) -> Annotated[dict[str, str], "versions"]:
    """Record runs, then sign, register and promote; never cached, since the registry is asked and not the cache.

    Args:
        facts: the whole release.
        digest: digest of the facts.
        artifacts: what passed the gate.
        names: the targets they passed for, in the same order.
        tracking: where to record.
        signing: the key.
        files: folder with report.html and release.json.

    Returns:
        Registered model name to promoted version.

    Raises:
        GateRefused: another release was promoted since the champion was judged against; nothing was recorded.
    """
    tracker = create("services", "mlflow")
    tracker.connect(tracking.uri, tracking.experiment)
    passed = dict(zip(names, artifacts, strict=True))
    promoted = [target for target in facts.targets if target.name in passed]
    with stage("Recording and promoting"):
        for target in promoted:  # before anything is recorded that would not be true
            champion, challenger = tracker.champion(target.model), passed[target.name].digest
            require_champion(target.model, champion, target.champion_before, challenger)
        run_id = tracker.recorded(digest) or tracker.record(facts, digest, Path(files), passed)
        finished, signer, versions = tracker.recorded_at(run_id), signer_for(signing), {}
        for target in promoted:
            artifact, bundle = passed[target.name], Path(files) / f"{target.name}{SUFFIX}"
            sign_target(facts, target, artifact, run_id, finished, signer, bundle)
            tags = {"release": facts.release, "target": target.name, "edgewright.key": signer.public_key.keyid}
            tags |= tracker.keep_bundle(run_id, artifact, bundle)
            versions[target.model] = tracker.promote(target.model, artifact, run_id, tags, target.champion_before)
        return versions
