# SPDX-License-Identifier: Apache-2.0
"""Record a drift check in the tracker."""

from pathlib import Path
from typing import Annotated

from zenml import step

from edgewright.config import Tracking
from edgewright.drift.check import record
from edgewright.drift.facts import DriftFacts
from edgewright.progress import stage
from edgewright.registry import store_uri


@step(enable_cache=False)
def record_drift(facts: DriftFacts, tracking: Tracking, files: str) -> Annotated[str, "run"]:
    """Record facts and page, once; never cached, since the store is asked and not the cache."""
    with stage("Recording"):
        return record(facts, Path(files), store_uri(tracking), tracking.experiment)
