# SPDX-License-Identifier: Apache-2.0
"""Read the data, split it, and keep it as one dataset."""

from typing import Annotated, cast

from zenml import step

from edgewright.config import DataSpec, Task
from edgewright.data.dataset import Dataset
from edgewright.data.load import load_dataset
from edgewright.fingerprint import of_code
from edgewright.progress import stage
from edgewright.steps.bundles import workspace
from edgewright.steps.caching import policy


def _code() -> str:
    return of_code("edgewright.steps.load_data")


@step(cache_policy=policy("edgewright.steps.load_data._code"))
def load_data(spec: DataSpec, task: str, seed: int, source: str) -> Annotated[Dataset, "dataset"]:
    """Load and split the data; ``source`` is the digest of what it is read from, and only keys the cache."""
    with stage(f"Loading {spec.source}"):
        return load_dataset(spec, cast(Task, task), seed, workspace())
