# SPDX-License-Identifier: Apache-2.0
"""Apply a rung's passes to the float file."""

from typing import Annotated

from zenml import step

from edgewright.artifact import Artifact
from edgewright.config.recipe import Rung
from edgewright.data.dataset import Dataset
from edgewright.export import apply_passes
from edgewright.fingerprint import of_code
from edgewright.progress import stage
from edgewright.steps.bundles import workspace
from edgewright.steps.caching import policy


def _code() -> str:
    return of_code("edgewright.steps.compress")


@step(cache_policy=policy("edgewright.steps.compress._code"))
def compress(
    parent: Artifact,
    dataset: Dataset,
    runtime: str,
    rung: Rung,
    plugin: str,
) -> Annotated[Artifact, "artifact"]:
    """Run the passes in a process of their own; ``plugin`` digests runtime and toolkits, and only keys the cache."""
    with stage(f"Compressing for {runtime}: {rung.name}"):
        return apply_passes(parent, dataset, runtime, rung, workspace())
