# SPDX-License-Identifier: Apache-2.0
"""Write a file of integers anew for a processor on which sums of 8-bit products saturate."""

from typing import Annotated

from zenml import step

from edgewright.artifact import Artifact
from edgewright.fingerprint import of_code
from edgewright.progress import stage
from edgewright.saturation import avoid_saturation as avoid
from edgewright.steps.bundles import workspace
from edgewright.steps.caching import policy


def _code() -> str:
    return of_code("edgewright.steps.avoid_saturation")


@step(cache_policy=policy("edgewright.steps.avoid_saturation._code"))
def avoid_saturation(artifact: Artifact, runtime: str, plugin: str) -> Annotated[Artifact, "artifact"]:
    """Work in a process of its own; ``plugin`` digests runtime and toolkits, and only keys the cache."""
    with stage(f"Against saturation: {artifact.facts.recipe} for {runtime}"):
        return avoid(artifact, runtime, workspace())
