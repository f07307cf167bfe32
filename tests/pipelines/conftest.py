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


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same, once released. The tests of a module go on with it in turn, each with what it changes of the configuration."""
    made = Project(tmp_path_factory.mktemp("released"), AFFINE).with_stores()
    made.write()
    ended = made.edgewright("run", "release.yaml")
    assert ended.code == 0, ended.output
    return made
