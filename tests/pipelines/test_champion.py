# SPDX-License-Identifier: Apache-2.0
"""A challenger is held against the champion on the same test data, takes its place, and the one before stays at hand."""

import json
from typing import Any

from histories import key, write_policy
from mlflow import MlflowClient
from release_project import Project

from edgewright.trust.keys import config_home


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


def test_an_override_is_signed_by_whoever_decided_it_and_taken_by_who_asks_for_it(released: Project) -> None:
    target = {**released.config["targets"][0], "budget": {"max_accuracy_drop": 0.001}}
    private = key(released.folder / "people", "alice").removeprefix("file:")
    (released.folder / "people" / "own.pub").write_bytes((config_home() / "release.pub").read_bytes())
    lines = [{"key": "alice", "do": ["override"]}, {"key": "own", "do": ["promote", "rollback"]}]
    policy = write_policy(released.folder / "people", lines, overrides=True)
    released.write(seed=5, targets=[target], tracking={"policy": str(policy)}, signing={"key": f"file:{private}"})
    done = released.edgewright(
        "promote", str(released.out), "--override", "--reason", "the fleet is down", "--config", "release.yaml"
    )
    assert done.code == 0, done.output
    assert "overruled: the verdict is inconclusive" in done.output
    bundle = released.out / "refused" / "a.bundle"
    keys = ("--key", str(released.folder / "people" / "alice.pub"))
    refused = released.edgewright("verify", str(bundle), *keys)
    assert (refused.code, "--overridden takes it all the same" in refused.output) == (2, True), refused.output
    told = released.edgewright("verify", str(bundle), *keys, "--overridden")
    assert told.code == 0, told.output
    assert "! verdict            NO PASS, overridden by " in told.output
    assert "'the fleet is down'" in told.output
    assert "✓ reference" in told.output
    released.edgewright("rollback", "digits-a", "--config", "release.yaml")
    released.write(tracking={"policy": str(policy)})
    assert released.edgewright("rollback", "digits-a", "--config", "release.yaml").code == 0


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
