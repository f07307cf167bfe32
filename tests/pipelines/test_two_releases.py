# SPDX-License-Identifier: Apache-2.0
"""Releases at the same time: of two names, both are promoted; of one name, the later is held against the earlier first."""

import json
import os
from multiprocessing.connection import wait
from pathlib import Path

import pytest
from mlflow import MlflowClient
from release_project import AFFINE, Project, Running

PAUSING = """\
import os
from edgewright.integrations.runtimes.null import NullRuntime
class Pausing(NullRuntime):
    def export(self, *arguments):
        if os.path.exists('go'):
            open('reached', 'w').write('export')
            open('go').readline()  # until the other release is through
        super().export(*arguments)
"""


def made(folder: Path, name: str, seed: int) -> Project:
    folder.mkdir()
    project = Project(folder, {**AFFINE, "name": name, "seed": seed, "ladder": ["ptq_w8a8"]})
    project.write(gate={"champion_margin": 0.1})
    return project


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One ZenML store and one tracking store for all releases; they are not there yet."""
    folder = tmp_path_factory.mktemp("stores")
    return {
        "ZENML_CONFIG_PATH": str(folder / "zenml"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'shared' / 'mlflow.db'}",
    }


def test_two_releases_at_once_on_stores_that_are_not_there_yet_are_both_promoted(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    projects = [made(tmp_path / name, name, seed) for seed, name in enumerate(("left", "right"))]
    ended = [run.end() for run in [project.start("run", "release.yaml", environment=environment) for project in projects]]
    assert [run.code for run in ended] == [0, 0], "\n\n".join(run.output for run in ended)
    client = MlflowClient(environment["MLFLOW_TRACKING_URI"])
    for model in ("left-a", "right-a"):
        (version,) = client.search_model_versions(f"name = '{model}'")
        assert client.get_registered_model(model).aliases == {"candidate": version.version, "champion": version.version}
        assert client.get_run(version.run_id).info.status == "FINISHED"
        kept = {file.path for file in client.list_artifacts(version.run_id, "artifact")}
        assert kept == {"artifact/bundle.json", "artifact/model.npz"}


def test_a_release_that_was_overtaken_is_told_and_held_against_the_new_champion_next(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    slow, quick = made(tmp_path / "slow", "same", 0), made(tmp_path / "quick", "same", 1)
    (slow.folder / "pausing.py").write_text(PAUSING)
    slow.write(targets=[{**AFFINE["targets"][0], "runtime": "pausing:Pausing"}], gate={"champion_margin": 0.1})
    pipes = [slow.folder / name for name in ("reached", "go")]
    for pipe in pipes:
        os.mkfifo(pipe)
    under_way = slow.start("run", "release.yaml", environment=environment)
    reach(pipes[0], under_way)
    assert quick.edgewright("run", "release.yaml", environment=environment).code == 0
    go = os.open(pipes[1], os.O_RDWR)  # does not wait for the other end
    os.write(go, b"\n")
    told = under_way.end()
    os.close(go)
    assert told.code == 1, told.output
    assert "same-a is not promoted: its champion is version 1 by now" in told.output
    assert "Traceback" not in told.output
    client = MlflowClient(environment["MLFLOW_TRACKING_URI"])
    assert client.get_registered_model("same-a").aliases == {"candidate": 1, "champion": 1}
    facts = json.loads((slow.out / "release.json").read_text())
    assert (facts["targets"][0]["outcome"], facts["targets"][0]["not_promoted"][:22]) == ("pass", "same-a is not promoted")
    assert "same-a is not promoted" in (slow.out / "report.html").read_text()
    assert {each.name for each in (slow.out / "refused").iterdir()} == {"a", "a.bundle", "a.reference.json"}
    assert list((slow.out / "artifacts").glob("*")) == []
    refused = slow.edgewright("promote", str(slow.out), environment=environment)
    assert (refused.code, "its champion is version 1 by now" in refused.output) == (1, True), refused.output
    for pipe in pipes:
        pipe.unlink()
    again = slow.edgewright("run", "release.yaml", environment=environment)
    assert again.code == 0, again.output
    assert client.get_registered_model("same-a").aliases == {"candidate": 2, "champion": 2, "rollback": 1}
    assert list((slow.out / "refused").iterdir()) == []
    assert "not_promoted" not in (slow.out / "report.html").read_text()
    assert (slow.out / "artifacts" / "a.bundle").is_file()


def reach(pipe: Path, under_way: Running) -> None:
    """Wait until a release has written into a pipe; its end would be the end of the test."""
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert wait([reader, under_way.process.sentinel]) == [reader], under_way.end().output
    os.close(reader)
