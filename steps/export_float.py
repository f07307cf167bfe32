# SPDX-License-Identifier: Apache-2.0
"""Export the float model to a runtime's format: the float parent of everything compressed from it."""

from typing import Annotated, Any

from zenml import step

from edgewright.artifact import Artifact, Candidate
from edgewright.data.dataset import Dataset
from edgewright.export import export_float as export
from edgewright.fingerprint import of_code
from edgewright.progress import stage
from edgewright.steps.bundles import workspace
from edgewright.steps.caching import policy


def _code() -> str:
    return of_code("edgewright.steps.export_float")


@step(cache_policy=policy("edgewright.steps.export_float._code"))
def export_float(
    candidate: Candidate,
    dataset: Dataset,
    runtime: str,
    options: dict[str, Any],
    plugin: str,
) -> Annotated[Artifact, "float_artifact"]:
    """Export in a process of its own; ``plugin`` digests runtime and toolkits, and only keys the cache."""
    with stage(f"Exporting float32 for {runtime}"):
        return export(candidate, dataset, runtime, options, workspace())
