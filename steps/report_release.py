# SPDX-License-Identifier: Apache-2.0
"""Draw the report page, so that it shows in the ZenML dashboard."""

from typing import Annotated

from zenml import step
from zenml.types import HTMLString

from edgewright.fingerprint import of_code
from edgewright.progress import stage
from edgewright.report.facts import ReleaseFacts
from edgewright.report.page import render_page
from edgewright.steps.caching import policy


def _code() -> str:
    return of_code("edgewright.steps.report_release")


@step(cache_policy=policy("edgewright.steps.report_release._code"))
def report_release(facts: ReleaseFacts) -> Annotated[HTMLString, "report"]:
    """Render the facts as one self-contained page."""
    with stage("Drawing the report"):
        return HTMLString(render_page(facts))
