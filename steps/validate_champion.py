# SPDX-License-Identifier: Apache-2.0
"""Run the present champion over the same test data as its challenger."""

from typing import Annotated

from zenml import step

from edgewright.config import Measuring, Target, Tracking
from edgewright.data.dataset import Dataset
from edgewright.errors import DataError
from edgewright.fingerprint import of_code
from edgewright.plugins import create
from edgewright.registry import Champion, store_uri
from edgewright.steps.bundles import workspace
from edgewright.steps.caching import policy
from edgewright.validate import validate_artifact
from edgewright.validation import Baseline, ValidationRun


def _code() -> str:
    return of_code("edgewright.steps.validate_champion")


@step(cache_policy=policy("edgewright.steps.validate_champion._code"))
def validate_champion(
    champion: Champion,
    tracking: Tracking,
    dataset: Dataset,
    baseline: Baseline,
    target: Target,
    metric: str,
    measuring: Measuring,
    seed: int,
    plugin: str,
) -> Annotated[ValidationRun, "champion_run"]:
    """Fetch the champion and take its outputs; ``plugin`` digests runtime, device and toolkits, and only keys the cache.

    Raises:
        DataError: the champion was made for other labels, so that the two cannot be compared.
    """
    tracker = create("services", "mlflow")
    tracker.connect(store_uri(tracking), tracking.experiment)
    artifact = tracker.registry.fetch(champion, workspace())
    if artifact.facts.labels != dataset.card.labels:
        raise DataError(
            f"champion {champion.model} v{champion.version} answers other labels than this data has",
            where=f"target {target.name}",
            to_do="release under another name, or roll back to one with the same labels",
        )
    outputs = baseline.outputs("test")
    return validate_artifact(
        artifact, artifact, dataset, "test", outputs, target, metric, measuring, seed, workspace(), timing=False
    )
