# SPDX-License-Identifier: Apache-2.0
"""ZenML's key `schedule:`, which asks for more than one run: `edgewright …` runs once, and says so."""

from pathlib import Path

from edgewright.config.yaml import Document
from edgewright.errors import ConfigError


def require_no_schedule(document: Document, path: Path) -> None:
    """Return where a file in ZenML's form asks for no schedule.

    Raises:
        ConfigError: it asks for one.
    """
    if isinstance(document.data, dict) and {"parameters", "schedule"} <= document.data.keys():
        raise ConfigError(
            "the file asks for a schedule, and this command runs once",
            where=f"{path.name}:{document.lines[('schedule',)]}  schedule",
            to_do="remove it and let cron, systemd or GitLab start the command; or run it with `zenml pipeline run` on an "
            "orchestrator with schedules: docs/how-to/retrain-on-drift.md",
        )
