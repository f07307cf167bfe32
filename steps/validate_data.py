# SPDX-License-Identifier: Apache-2.0
"""Check the data before anything is trained on it."""

from typing import Annotated, Any

from zenml import step
from zenml.client import Client

from edgewright.config import DataChecks
from edgewright.data.checks import require
from edgewright.data.dataset import Dataset
from edgewright.fingerprint import of_code
from edgewright.plugins import create
from edgewright.progress import stage
from edgewright.report.facts import CheckResult
from edgewright.steps.caching import policy

FLAVOR = "edgewright_gx"
"""Name of the data-validator flavor that edgewright brings (stacks/local)."""


def _code() -> str:
    return of_code("edgewright.steps.validate_data")


@step(cache_policy=policy("edgewright.steps.validate_data._code"))
def validate_data(dataset: Dataset, checks: DataChecks, plugin: str) -> Annotated[list[CheckResult], "data_checks"]:
    """Check the data with Great Expectations; a broken rule ends the release and names rows or files."""
    with stage("Checking the data"):
        results = _check(dataset, checks)
    require(results)
    return results


def _check(dataset: Dataset, checks: DataChecks) -> list[CheckResult]:
    """Ask the active stack's data validator when it is edgewright's, and the service behind it otherwise."""
    validator: Any = Client().active_stack.data_validator
    if validator is not None and validator.flavor == FLAVOR:
        found: list[CheckResult] = validator.data_validation(dataset, checks=checks)
    else:
        found = create("services", "great_expectations").check(dataset, checks)
    return found
