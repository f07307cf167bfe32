# SPDX-License-Identifier: Apache-2.0
"""The same job three ways gives the same result, also inside a user's own ZenML project."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from release_project import AFFINE, Project

BIN = Path(sys.executable).parent
RELEASE = ("pipeline", "run", "edgewright.edge_release", "-c", "release.yaml")


def _as_zenml_project(folder: Path) -> None:
    """A project with steps/ and pipelines/ of its own, whose names are those of edgewright's folders."""
    for package, text in {"steps": "MINE = 1\n", "pipelines": "from steps import MINE\n"}.items():
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text(text)
    (folder / ".zen").mkdir()


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ZENML_CONFIG_PATH": str(folder / ".zenml"), "COLUMNS": "160"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def _result(folder: Path) -> Any:
    facts = json.loads((folder / "edgewright-out" / "digits" / "release.json").read_text())
    target = facts["targets"][0]
    return target["outcome"], target["rungs"][0]["artifact_digest"], facts["candidate_digest"], facts["data_digest"]


@pytest.fixture(scope="module")
def by_edgewright(tmp_path_factory: pytest.TempPathFactory) -> Any:
    project = Project(tmp_path_factory.mktemp("edgewright"), AFFINE).with_stores()
    project.write()
    ended = project.edgewright("run", "release.yaml")
    assert ended.code == 0, ended.output
    return _result(project.folder)


def test_zenml_pipeline_run_in_a_project_with_its_own_steps_and_pipelines(tmp_path: Path, by_edgewright: Any) -> None:
    _as_zenml_project(tmp_path)
    Project(tmp_path, AFFINE).with_stores().write()
    done = _run(tmp_path, str(BIN / "zenml"), *RELEASE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "digits-a" in (tmp_path / "edgewright-out" / "digits" / "release.json").read_text()
    assert _result(tmp_path) == by_edgewright


def test_python(project: Project, by_edgewright: Any) -> None:
    text = f"from edgewright import edge_release, ReleaseConfig\nedge_release(ReleaseConfig.model_validate({AFFINE!r}))\n"
    (project.folder / "release.py").write_text(text)
    ended = project.start("release.py", program="release_project:script").end()
    assert ended.code == 0, ended.output
    assert _result(project.folder) == by_edgewright


def test_zenml_ends_with_the_gate_s_exit_code_and_one_screen(project: Project) -> None:
    target = {**AFFINE["targets"][0], "budget": {"size_bytes": 10}}
    project.write(targets=[target])
    ended = project.start(*RELEASE, program="zenml.cli.cli:cli").end()
    assert ended.code == 1, ended.output
    assert "1 of 1 targets not promoted: a" in ended.output


def test_zenml_refuses_a_wrong_configuration_in_one_screen(project: Project) -> None:
    project.write(sead=3)
    ended = project.start(*RELEASE, program="zenml.cli.cli:cli").end()
    assert ended.code == 2, ended.output
    assert "seed" in ended.output
    assert "Traceback" not in ended.output
