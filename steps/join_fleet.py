# SPDX-License-Identifier: Apache-2.0
"""Put together what the devices of a fleet brought back."""

from typing import Annotated

from zenml import step

from edgewright.fingerprint import of_code
from edgewright.fleet import join_runs
from edgewright.steps.bundles import workspace
from edgewright.steps.caching import policy
from edgewright.validation import ValidationRun


def _code() -> str:
    return of_code("edgewright.steps.join_fleet")


@step(cache_policy=policy("edgewright.steps.join_fleet._code"))
def join_fleet(runs: list[ValidationRun], metric: str) -> Annotated[ValidationRun, "fleet_run"]:
    """Keep the worst of each number, and the runs of all devices."""
    return join_runs(runs, metric, workspace())
