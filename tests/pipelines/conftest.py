# SPDX-License-Identifier: Apache-2.0
"""Projects to release from, as users have them."""

from pathlib import Path

import pytest
from release_project import AFFINE, Project


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """An affine model on the null runtime and device: the whole process in seconds. Nothing but its release.yaml is there."""
    made = Project(tmp_path, AFFINE)
    made.write()
    return made


@pytest.fixture
def project(fresh: Project) -> Project:
    """The same on a machine that has released before: ZenML's and MLflow's stores are made, and empty."""
    return fresh.with_stores()
