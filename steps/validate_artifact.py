# SPDX-License-Identifier: Apache-2.0
"""Run an exported file on its device, in turn with its float parent."""

from typing import Annotated, cast

from zenml import step

from edgewright.artifact import Artifact
from edgewright.config import Measuring, Target
from edgewright.config.data import SplitName
from edgewright.data.dataset import Dataset
from edgewright.fingerprint import of_code
from edgewright.steps.bundles import workspace
from edgewright.steps.caching import policy
from edgewright.validate import validate_artifact as validate
from edgewright.validation import Baseline, ValidationRun


def _code() -> str:
    return of_code("edgewright.steps.validate_artifact")


@step(cache_policy=policy("edgewright.steps.validate_artifact._code"))
def validate_artifact(
    artifact: Artifact,
    parent: Artifact,
    dataset: Dataset,
    baseline: Baseline,
    target: Target,
    split: str,
    metric: str,
    measuring: Measuring,
    seed: int,
    timing: bool,
    plugin: str,
) -> Annotated[ValidationRun, "validation_run"]:
    """Validate on one split; latency and memory are taken while climbing (``timing``), accuracy on every split.

    ``plugin`` digests runtime, device and toolkits, and only keys the cache.
    """
    judged_on = cast(SplitName, split)
    outputs = baseline.outputs(judged_on)
    return validate(artifact, parent, dataset, judged_on, outputs, target, metric, measuring, seed, workspace(), timing=timing)
