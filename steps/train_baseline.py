# SPDX-License-Identifier: Apache-2.0
"""Train the float baseline, or take the weights it was given."""

import shutil
from pathlib import Path
from typing import Annotated

from zenml import step

from edgewright.artifact import Candidate
from edgewright.config import ModelSpec
from edgewright.data.dataset import Dataset
from edgewright.fingerprint import of_code
from edgewright.plugins import create
from edgewright.steps.bundles import workspace
from edgewright.steps.caching import policy
from edgewright.warm_start import parent_of


def _code() -> str:
    return of_code("edgewright.steps.train_baseline")


@step(
    cache_policy=policy("edgewright.steps.train_baseline._code", ignored=("checkpoints",)),
)
def train_baseline(
    dataset: Dataset,
    spec: ModelSpec,
    seed: int,
    metric: str,
    plugin: str,
    checkpoints: str,
) -> Annotated[Candidate, "baseline_candidate"]:
    """Train as the spec says; ``plugin`` digests framework and starting weights, and only keys the cache.

    Checkpoints of an interrupted training are picked up from ``checkpoints``, and removed once it is through.
    """
    out = workspace()
    parent = parent_of(spec)
    facts = create("frameworks", spec.framework).train(spec, dataset, seed, metric, out, Path(checkpoints))
    candidate = Candidate.seal(out, facts.model_copy(update={"parent": parent}))
    shutil.rmtree(checkpoints, ignore_errors=True)
    return candidate
