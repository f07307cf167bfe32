# SPDX-License-Identifier: Apache-2.0
"""Make of a finished file what the target itself takes: compiled for an accelerator, or as sources."""

from typing import Annotated, Any

from zenml import step

from edgewright.artifact import Artifact
from edgewright.fingerprint import of_code
from edgewright.package import package_artifact as package
from edgewright.progress import stage
from edgewright.steps.bundles import workspace
from edgewright.steps.caching import policy


def _code() -> str:
    return of_code("edgewright.steps.package_artifact")


@step(cache_policy=policy("edgewright.steps.package_artifact._code"))
def package_artifact(artifact: Artifact, runtime: str, options: dict[str, Any], plugin: str) -> Annotated[Artifact, "packaged"]:
    """Run the compiler in a process of its own; ``plugin`` digests runtime and toolkits, and only keys the cache."""
    with stage(f"Packaging {artifact.facts.recipe} for {runtime}"):
        return package(artifact, runtime, options, workspace())
