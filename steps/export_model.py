# SPDX-License-Identifier: Apache-2.0
"""Export a model to a runtime's format: the baseline as the float parent of all artifacts, or what passes made of it."""

from typing import Annotated, Any

from zenml import step

from edgewright.artifact import Artifact, Candidate
from edgewright.data.dataset import Dataset
from edgewright.export import export_model as export
from edgewright.fingerprint import of_code
from edgewright.progress import stage
from edgewright.steps.bundles import workspace
from edgewright.steps.caching import policy


def _code() -> str:
    return of_code("edgewright.steps.export_model")


@step(cache_policy=policy("edgewright.steps.export_model._code"))
def export_model(
    candidate: Candidate,
    dataset: Dataset,
    runtime: str,
    options: dict[str, Any],
    plugin: str,
) -> Annotated[Artifact, "exported"]:
    """Export in a process of its own; ``plugin`` digests runtime and toolkits, and only keys the cache."""
    with stage(f"Exporting {candidate.facts.recipe} for {runtime}"):
        return export(candidate, dataset, runtime, options, workspace())
