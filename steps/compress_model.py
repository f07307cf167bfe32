# SPDX-License-Identifier: Apache-2.0
"""Apply one model pass to a candidate: distill, prune, sparsify, decompose, cluster, or quantization-aware training."""

import shutil
import time
from pathlib import Path
from typing import Annotated

from zenml import step

from edgewright.artifact import Candidate
from edgewright.config import Measuring, Target
from edgewright.config.recipe import Rung
from edgewright.data.dataset import Dataset
from edgewright.fingerprint import of_code
from edgewright.framework import ModelPassRequest
from edgewright.latency import latency_ratio
from edgewright.plugins import create
from edgewright.steps.bundles import workspace
from edgewright.steps.caching import policy


def _code() -> str:
    return of_code("edgewright.steps.compress_model")


@step(cache_policy=policy("edgewright.steps.compress_model._code", ignored=("checkpoints",)))
def compress_model(
    candidate: Candidate,
    teacher: Candidate,
    dataset: Dataset,
    rung: Rung,
    metric: str,
    seed: int,
    target: Target | None,
    measuring: Measuring,
    plugin: str,
    checkpoints: str,
) -> tuple[Annotated[Candidate, "candidate"], Annotated[float, "seconds"]]:
    """Perform the one pass of ``rung``; ``plugin`` digests framework and toolkits, and only keys the cache.

    A ``target`` is given only where the pass has to reach a latency on it. Checkpoints of an interrupted training are
    picked up from ``checkpoints``, and removed once it is through. The seconds stand beside the candidate and not in it:
    the same inputs give the same candidate.
    """
    started = time.monotonic()
    out, (options,) = workspace(), rung.passes
    request = ModelPassRequest(
        candidate=candidate,
        teacher=teacher,
        data=dataset,
        options=options,
        metric=metric,
        seed=seed,
        out=out,
        checkpoints=Path(checkpoints),
        latency_ratio=latency_ratio(target, measuring, candidate, dataset) if target else None,
    )
    facts = create("frameworks", candidate.facts.framework).passes[type(options)](request)
    made = Candidate.seal(out, facts.model_copy(update={"parent": candidate.digest}))
    shutil.rmtree(checkpoints, ignore_errors=True)
    return made, time.monotonic() - started
