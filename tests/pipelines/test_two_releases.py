# SPDX-License-Identifier: Apache-2.0
"""Releases at the same time, on stores that are not there yet: all are promoted, and the registry is whole."""

from pathlib import Path

import pytest
from mlflow import MlflowClient
from release_project import AFFINE, Ended, Project


def at_once(folder: Path, releases: dict[str, str]) -> tuple[MlflowClient, list[Ended]]:
    """Run releases (folder to name) at the same time, on one ZenML store and one tracking store that do not exist yet."""
    uri = f"sqlite:///{folder / 'shared' / 'mlflow.db'}"
    environment = {"ZENML_CONFIG_PATH": str(folder / "zenml"), "MLFLOW_TRACKING_URI": uri}
    projects = []
    for seed, (place, name) in enumerate(releases.items()):
        (folder / place).mkdir()
        projects.append(Project(folder / place, {**AFFINE, "name": name, "seed": seed, "ladder": ["ptq_w8a8"]}))
        projects[-1].write()
    under_way = [project.start("run", "release.yaml", environment=environment) for project in projects]
    return MlflowClient(uri), [run.end() for run in under_way]


@pytest.mark.parametrize(
    ("releases", "versions"),
    [
        ({"one": "left", "two": "right"}, {"left-a": 1, "right-a": 1}),
        ({"one": "same", "two": "same"}, {"same-a": 2}),
    ],
    ids=["of two names", "of one name"],
)
def test_two_releases_at_once_are_both_promoted(tmp_path: Path, releases: dict[str, str], versions: dict[str, int]) -> None:
    client, ended = at_once(tmp_path, releases)
    assert [run.code for run in ended] == [0, 0], "\n\n".join(run.output for run in ended)
    assert {model.name for model in client.search_registered_models()} == versions.keys()
    for model, count in versions.items():
        found = client.search_model_versions(f"name = '{model}'")
        aliases = client.get_registered_model(model).aliases
        assert sorted(int(version.version) for version in found) == list(range(1, count + 1))
        assert int(aliases["champion"]) == count
        assert int(aliases.get("rollback", 0)) == count - 1
        for version in found:
            assert client.get_run(version.run_id).info.status == "FINISHED"
            kept = {file.path for file in client.list_artifacts(version.run_id, "artifact")}
            assert kept == {"artifact/bundle.json", "artifact/model.npz"}
