# SPDX-License-Identifier: Apache-2.0
"""Record the release in the tracker and promote what passed."""

from pathlib import Path
from typing import Annotated

from zenml import step

from edgewright.artifact import Artifact
from edgewright.config import Tracking
from edgewright.plugins import create
from edgewright.progress import stage
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
    """
    tracker = create("services", "mlflow")
    tracker.connect(tracking.uri, tracking.experiment)
    passed = dict(zip(names, artifacts, strict=True))
    with stage("Recording and promoting"):
        run_id = tracker.recorded(digest) or tracker.record(facts, digest, Path(files), passed)
        return {
            model: tracker.promote(model, artifact, run_id, {"release": facts.release, "target": name})
            for name, artifact in passed.items()
            for model in [f"{facts.release}-{name}"]
        }
