# SPDX-License-Identifier: Apache-2.0
"""Check the data before anything is trained on it."""

from typing import Annotated

from zenml import step

from edgewright.config import DataChecks
from edgewright.data.checks import require
from edgewright.data.dataset import Dataset
from edgewright.fingerprint import of_code
from edgewright.plugins import create
from edgewright.progress import stage
from edgewright.report.facts import CheckResult
from edgewright.steps.caching import policy


def _code() -> str:
    return of_code("edgewright.steps.validate_data")


@step(cache_policy=policy(_code))
def validate_data(dataset: Dataset, checks: DataChecks, plugin: str) -> Annotated[list[CheckResult], "data_checks"]:
    """Check the data with Great Expectations; a broken rule ends the release and names rows or files."""
    with stage("Checking the data"):
        results: list[CheckResult] = create("services", "great_expectations").check(dataset, checks)
    require(results)
    return results
