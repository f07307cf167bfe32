# SPDX-License-Identifier: Apache-2.0
"""`ladder: auto` through the whole pipeline: it climbs past the first rung, says what it left out, and survives kill -9."""

import json
from typing import Any

import pytest
from release_project import Project

CONVOLUTIONAL = {
    "name": "digits",
    "seed": 3,
    "data": {"source": "digits", "preprocessing": {"scale": 0.0625, "mean": [0.305], "std": [0.376], "layout": "HW"}},
    "model": {"architecture": "resnet8", "training": {"epochs": 4, "learning_rate": 0.003}},
    "ladder": "auto",
    "search": {"trials": 2},
    "measuring": {"invocations": 20, "processes": 1},
    "targets": [
        {
            "name": "small",
            "runtime": "onnxruntime",
            "device": "null",
            "budget": {"max_accuracy_drop": 0.2, "size_bytes": 70_000},
        },
        {
            "name": "smallest",
            "runtime": "onnxruntime",
            "device": "null",
            "objective": "smallest",
            "budget": {"max_accuracy_drop": 0.2},
        },
    ],
}


def rungs(project: Project) -> dict[str, dict[str, Any]]:
    """Target to its rungs by recipe."""
    facts = json.loads((project.out / "release.json").read_text())
    return {target["name"]: {rung["recipe"]: rung for rung in target["rungs"]} for target in facts["targets"]}


@pytest.fixture(scope="module")
def climbed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A release that was killed in its second rung, and resumed."""
    project = Project(tmp_path_factory.mktemp("climb"), CONVOLUTIONAL)
    project.with_stores().write()
    killed = project.edgewright("run", "release.yaml", kill_in="edgewright.integrations.frameworks.pytorch.passes.prune:finish")
    assert killed.killed, killed.output
    resumed = project.edgewright("resume")
    assert resumed.code == 0, resumed.output
    return project


def test_a_budget_that_int8_misses_is_met_by_pruning_too(climbed: Project) -> None:
    small = rungs(climbed)["small"]
    assert small["ptq_w8a8"]["status"] == "refused"
    assert "above the limit of 70,000 bytes" in " ".join(small["ptq_w8a8"]["reasons"])
    passed = small["prune50-ptq_w8a8"]
    assert passed["status"] == "passed"
    assert passed["validation"]["measurements"]["size_bytes"]["value"] <= 70_000
    (pruned,) = passed["candidate"]["passes"]
    assert pruned["achieved"] >= 0.5
    assert pruned["macs"][1] <= 0.5 * pruned["macs"][0]


def test_what_cannot_help_is_left_out_with_the_reason(climbed: Project) -> None:
    small = rungs(climbed)["small"]
    assert small["fp16"]["status"] == "skipped"
    assert small["fp16"]["reasons"] == ["ptq_w8a8 missed the size budget, and fp16 needs no less"]


def test_with_an_objective_it_climbs_on_and_takes_the_best(climbed: Project) -> None:
    smallest = rungs(climbed)["smallest"]
    assert smallest["ptq_w8a8"]["status"] == "outdone"
    assert smallest["prune50-ptq_w8a8"]["status"] == "passed"
    assert "smallest" in smallest["ptq_w8a8"]["reasons"][0]
    assert len([rung for rung in smallest.values() if rung["status"] != "skipped"]) == CONVOLUTIONAL["search"]["trials"]


def test_targets_share_what_they_have_in_common_and_nothing_finished_is_done_again(climbed: Project) -> None:
    steps = climbed.executed()
    assert steps["train_baseline"] == "cached"
    assert [status for name, status in steps.items() if name.startswith("convert_small_ptq_w8a8")] == ["cached"]
    assert [name for name in steps if name.startswith("compress_")] == ["compress_prune50"]


def test_a_second_run_executes_nothing(climbed: Project) -> None:
    again = climbed.edgewright("run", "release.yaml")
    assert again.code == 0, again.output
    assert climbed.ran() == set()
