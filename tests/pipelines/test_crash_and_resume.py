# SPDX-License-Identifier: Apache-2.0
"""kill -9 in every step, then `edgewright resume`: what had finished is not done again, and the result is whole."""

import json
from typing import Any

from release_project import Project

STEPS_IN_ORDER = [
    ("load_data", "edgewright.steps.load_data:load_dataset"),
    ("validate_data", "edgewright.steps.validate_data:require"),
    ("train_baseline", "edgewright.integrations.frameworks.pytorch:PyTorch.train"),
    ("measure_baseline", "edgewright.steps.measure_model:metric_measurement"),
    ("export_a_float32", "edgewright.steps.export_model:export"),
    ("convert_a_ptq_w8a8", "edgewright.steps.compress_file:apply_pass"),
    ("validate_a_ptq_w8a8", "edgewright.steps.validate_artifact:validate"),
    ("screen_a_ptq_w8a8", "edgewright.steps.screen_rung:screen"),
    ("judge_look_1", "edgewright.steps.judge_look:judge"),
    ("report_release", "edgewright.steps.report_release:render_page"),
    ("promote_release", "edgewright.steps.promote_release:promote"),
]


def _champion(project: Project) -> Any:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{project.folder}/edgewright-out/mlflow.db")
    return client.get_model_version_by_alias("digits-a", "champion").version


def test_killed_in_each_step_in_turn_a_release_goes_on_each_time(project: Project) -> None:
    for number, (step, dies_in) in enumerate(STEPS_IN_ORDER):
        died = project.edgewright("resume" if number else "run", "release.yaml", kill_in=dies_in)
        assert died.killed, f"{step}: {died.output}"
        finished = {name for name, _ in STEPS_IN_ORDER[: max(number - 1, 0)]}  # the one before this one has died, too
        assert not finished & project.ran(), step
    resumed = project.edgewright("resume", "release.yaml")
    assert resumed.code == 0, resumed.output
    assert not {name for name, _ in STEPS_IN_ORDER[:-1]} & project.ran()
    assert json.loads((project.out / "release.json").read_text())["targets"][0]["outcome"] == "pass"
    assert _champion(project) == "1" or _champion(project) == 1


def test_nothing_to_resume_is_said(project: Project) -> None:
    ended = project.edgewright("resume", "release.yaml")
    assert ended.code == 2
    assert "nothing to resume" in ended.output
