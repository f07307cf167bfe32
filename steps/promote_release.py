# SPDX-License-Identifier: Apache-2.0
"""Record the release in the tracker and promote what passed."""

from pathlib import Path
from typing import Annotated

from zenml import step

from edgewright.artifact import Artifact
from edgewright.config import Tracking
from edgewright.plugins import create
from edgewright.progress import stage
from edgewright.registry import require_champion
from edgewright.report.facts import ReleaseFacts


@step(enable_cache=False)
def promote_release(
    facts: ReleaseFacts, digest: str, artifacts: list[Artifact], names: list[str], tracking: Tracking, files: str
) -> Annotated[dict[str, str], "versions"]:
    """Record runs, then register and promote; never cached, since the registry is asked and not the cache.

    Args:
        facts: the whole release.
        digest: digest of the facts.
        artifacts: what passed the gate.
        names: the targets they passed for, in the same order.
        tracking: where to record.
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
        return {
            target.model: tracker.promote(
                target.model,
                passed[target.name],
                run_id,
                {"release": facts.release, "target": target.name},
                target.champion_before,
            )
            for target in promoted
        }
