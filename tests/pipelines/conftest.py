# SPDX-License-Identifier: Apache-2.0
"""Projects to release from, as users have them."""

from pathlib import Path

import pytest
from release_project import AFFINE, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An affine model on the null runtime and device: the whole process in seconds."""
    made = Project(tmp_path, AFFINE)
    made.write()
    return made
