# SPDX-License-Identifier: Apache-2.0
"""Apply the pass of a rung that works on files to an exported file."""

from typing import Annotated

from zenml import step

from edgewright.artifact import Artifact, Candidate
from edgewright.config.recipe import Rung
from edgewright.data.dataset import Dataset
from edgewright.export import apply_pass
from edgewright.fingerprint import of_code
from edgewright.progress import stage
from edgewright.steps.bundles import workspace
from edgewright.steps.caching import policy


def _code() -> str:
    return of_code("edgewright.steps.compress_file")


@step(cache_policy=policy("edgewright.steps.compress_file._code"))
def compress_file(
    parent: Artifact,
    candidate: Candidate,
    dataset: Dataset,
    runtime: str,
    rung: Rung,
    plugin: str,
) -> Annotated[Artifact, "artifact"]:
    """Run the pass in a process of its own; ``plugin`` digests runtime and toolkits, and only keys the cache.

    ``candidate`` is what the parent was exported from: some toolkits quantize the model, and not its file.
    """
    with stage(f"Compressing for {runtime}: {rung.name}"):
        return apply_pass(parent, dataset, runtime, rung, workspace(), candidate)
