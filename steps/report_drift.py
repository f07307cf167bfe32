# SPDX-License-Identifier: Apache-2.0
"""Draw the page of a drift check, so that it shows in the ZenML dashboard."""

from typing import Annotated

from zenml import step
from zenml.types import HTMLString

from edgewright.drift.facts import DriftFacts
from edgewright.drift.page import render_drift
from edgewright.fingerprint import of_code
from edgewright.progress import stage
from edgewright.steps.caching import policy


def _code() -> str:
    return of_code("edgewright.steps.report_drift")


@step(cache_policy=policy("edgewright.steps.report_drift._code"))
def report_drift(facts: DriftFacts) -> Annotated[HTMLString, "report"]:
    """Render the facts as one self-contained page."""
    with stage("Drawing the report"):
        return HTMLString(render_drift(facts))
