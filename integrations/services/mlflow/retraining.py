# SPDX-License-Identifier: Apache-2.0
"""Retrainings as runs: what they were started by and on, when they began, and how they ended."""

from datetime import UTC, datetime
from typing import Any

from edgewright.retraining import Retraining

KIND = "retraining"
_RELEASE, _DATA, _CHECK, _PARENT, OUTCOME = (f"edgewright.{name}" for name in ("release", "data", "check", "parent", "outcome"))


def tags_of(retraining: Retraining) -> dict[str, str]:
    """What the run says from its beginning on."""
    return {
        "edgewright.kind": KIND,
        _RELEASE: retraining.release,
        _DATA: retraining.data,
        _CHECK: retraining.check,
        _PARENT: retraining.parent,
    }


def read(run: Any) -> Retraining:
    """Read a run of MLflow's."""
    tags = run.data.tags
    return Retraining(
        release=tags[_RELEASE],
        data=tags[_DATA],
        check=tags[_CHECK],
        parent=tags.get(_PARENT, ""),
        began=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        ended=OUTCOME in tags,
    )


def search_for(release: str) -> str:
    """MLflow's filter for the retrainings of a release."""
    return f"tags.`edgewright.kind` = '{KIND}' and tags.`{_RELEASE}` = '{release}'"
