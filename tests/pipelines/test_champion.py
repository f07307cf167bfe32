# SPDX-License-Identifier: Apache-2.0
"""A challenger is held against the champion on the same test data, takes its place, and the one before stays at hand."""

import json
from typing import Any

from histories import key, write_policy
from mlflow import MlflowClient
from release_project import Project


def _target(project: Project) -> Any:
    return json.loads((project.out / "release.json").read_text())["targets"][0]


def _digest(project: Project, alias: str) -> str:
    client = MlflowClient(f"sqlite:///{project.folder}/edgewright-out/mlflow.db")
    return str(client.get_model_version_by_alias("digits-a", alias).tags["edgewright.digest"])


def test_a_challenger_takes_the_champion_s_place_and_a_rerun_does_nothing(released: Project) -> None:
    first = _digest(released, "champion")
    released.write(seed=4, gate={"champion_margin": 0.1})
    ended = released.edgewright("run", "release.yaml")
    assert ended.code == 0, ended.output
    assert _target(released)["champion_before"] == first
    assert "champion" in [finding["rule"] for finding in _target(released)["rungs"][-1]["gate"]]
    assert (_digest(released, "rollback"), _digest(released, "champion")) == (
        first,
        _target(released)["rungs"][-1]["artifact_digest"],
    )
    assert released.edgewright("run", "release.yaml").code == 0
    assert released.ran() == set()
    second = _digest(released, "champion")
    assert released.edgewright("rollback", "digits-a").code == 0
    assert _digest(released, "champion") == first
    (released.folder / "promote.yaml").write_text(
        f"parameters: {{config: {{release: {released.out}, target: a, release_yaml: release.yaml}}}}"
    )
    zenml = ("pipeline", "run", "edgewright.promote", "-c", "promote.yaml")
    ended = released.edgewright(*zenml, program="zenml.cli:cli")
    assert ended.code == 0, ended.output
    assert _digest(released, "champion") == second
    told = released.edgewright("history", "--verify")
    assert "4 valid, 0 void" in told.output, told.output


def test_every_rung_that_is_judged_is_held_against_the_champion(released: Project) -> None:
    champion = _digest(released, "champion")
    target = {**released.config["targets"][0], "budget": {"max_accuracy_drop": 0.001}}
    released.write(seed=5, targets=[target])
    assert released.edgewright("run", "release.yaml").code == 1
    rungs = _target(released)["rungs"]
    assert [rung["status"] for rung in rungs] == ["inconclusive", "inconclusive"]
    assert all("champion" in [finding["rule"] for finding in rung["gate"]] for rung in rungs)
    assert [rung["alpha"] for rung in rungs] == [0.025, 0.025]
    assert _digest(released, "champion") == champion


def test_a_key_that_may_not_promote_is_told_before_anything_runs(released: Project) -> None:
    key(released.folder / "keys", "mine")
    policy = write_policy(released.folder / "keys", [{"key": "mine", "do": ["rollback"]}])
    champion = _digest(released, "champion")
    released.write(seed=9, signing={"key": "file:keys/mine.pem"}, tracking={"policy": str(policy)})
    ended = released.edgewright("run", "release.yaml")
    assert ended.code == 1, ended.output
    assert "key mine may not promote digits-a" in ended.output
    assert "Training" not in ended.output
    assert _digest(released, "champion") == champion
