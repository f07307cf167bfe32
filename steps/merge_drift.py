# SPDX-License-Identifier: Apache-2.0
"""Merge the reports of a fleet."""

from pathlib import Path
from typing import Annotated

from zenml import step

from edgewright.drift.fleet import Fleet
from edgewright.drift.merge import merge_reports
from edgewright.drift.reference import Reference
from edgewright.progress import stage


@step(enable_cache=False)
def merge_drift(
    reports: str, references: dict[str, Reference], now: float, max_device_share: float
) -> Annotated[Fleet, "fleet"]:
    """Read and merge what devices have reported by now; never cached, since reports keep coming."""
    with stage("Merging reports"):
        return merge_reports(Path(reports), references, now, max_device_share)
