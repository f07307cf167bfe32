# SPDX-License-Identifier: Apache-2.0
"""From drift to a new champion: nothing runs without drift; with it, old and new data go through the same gate."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import drift_fleet
import numpy as np
import pytest
import yaml
from drift_fleet import Change, Fleet
from mlflow import MlflowClient
from release_project import Project

from edgewright.drift.reference import read
from edgewright.integrations.runtimes.null import NullRuntime

RELEASE = {
    "name": "table",
    "seed": 3,
    "data": {"source": "table.npz"},
    "model": {"architecture": "mlp", "options": {"hidden": []}, "training": {"epochs": 12, "learning_rate": 0.01}},
    "ladder": ["fp16"],
    "targets": [{"name": "phone", "runtime": "null", "device": "null", "budget": {"max_accuracy_drop": 0.1}}],
    "measuring": {"invocations": 20, "processes": 1},
}
SHIFT = 4.0


def save(file: Path, samples: int, shift: float) -> None:
    """Write samples of the fleet's kind, all columns shifted: the largest is the largest still."""
    x = np.random.default_rng(samples).normal(shift, size=(samples, 3)).astype(np.float32)
    np.savez(file, x=x, y=np.argmax(x, axis=1))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("retrain"), RELEASE).with_stores()
    save(project.folder / "table.npz", 3000, 0.0)
    project.write()
    ended = project.edgewright("run", "release.yaml")
    assert ended.code == 0, ended.output
    # devices go on with this model, whatever is promoted
    shutil.copy(project.out / "artifacts" / "phone.bundle", project.folder / "in-the-field.bundle")
    shutil.copytree(project.out / "artifacts" / "phone", project.folder / "in-the-field")
    return project


def answers_of(project: Project) -> Change:
    """What the released file answers."""
    [file] = (project.folder / "in-the-field").glob("model.*")
    session = NullRuntime().load(file, 1)
    return lambda samples: np.concatenate([session.run(sample[None].astype(np.float32)) for sample in samples])


def report(project: Project, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
    """Let twenty devices report on their last day."""
    monkeypatch.setattr(drift_fleet, "NOW", time.time())
    monkeypatch.setattr(drift_fleet, "answer", answers_of(project))
    fleet = Fleet(read(project.folder / "in-the-field.bundle"), project.folder)
    fleet.send_many(20, samples=60, **more)


def retrain(project: Project, batch: str, **guard: Any) -> tuple[int | None, str]:
    drift = {"reports": "reports", "references": ["in-the-field.bundle"]}
    config = {"drift": drift, "release": "release.yaml", "new_data": {"name": batch, "source": f"{batch}.npz"}, "guard": guard}
    page = yaml.safe_dump({"parameters": {"config": config}})
    (project.folder / "retrain.yaml").write_text(page, encoding="utf-8")
    ended = project.edgewright("retrain", "retrain.yaml")
    return ended.code, ended.output


def test_drift_is_answered_once_and_only_drift(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    save(project.folder / "may.npz", 1500, SHIFT)

    # no drift: nothing is trained
    report(project, monkeypatch, slice_name="calm")
    code, said = retrain(project, "may")
    assert (code, "nothing is trained" in said) == (0, True), said
    assert "train_baseline" not in project.executed()

    # drift: old and new data, the same gate, against the champion on each
    report(project, monkeypatch, slice_name="shifted", change=lambda x: x + SHIFT)
    code, said = retrain(project, "may")
    assert code == 0, said
    facts = json.loads((project.out / "release.json").read_text())
    assert facts["data"]["batches"] == ["first", "may"]
    [target] = facts["targets"]
    on = [finding["reason"] for finding in target["rungs"][-1]["gate"] if finding["rule"] == "champion"]
    assert ["batch 'first'" in on[0], "batch 'may'" in on[1]] == [True, True]
    client = MlflowClient(f"sqlite:///{project.folder}/edgewright-out/mlflow.db")
    assert client.get_model_version_by_alias("table-phone", "champion").version == 2
    [run] = client.search_runs(["1"], "tags.`edgewright.kind` = 'retraining'")
    assert run.data.tags["edgewright.outcome"] == "promoted"

    # the devices still run the model before it: what was answered is not answered again
    code, said = retrain(project, "may")
    assert (code, "this very data was trained on already" in said) == (10, True), said
    save(project.folder / "june.npz", 1600, SHIFT)
    code, said = retrain(project, "june")
    assert (code, "there is drift, and no retraining: the last one began" in said) == (10, True), said


def test_new_data_that_outweighs_the_old_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    report(project, monkeypatch, slice_name="poisoned", change=lambda x: x + SHIFT)
    save(project.folder / "flood.npz", 9000, SHIFT)
    code, said = retrain(project, "flood", cool_down_hours=0)
    assert (code, "of the training samples; guard.max_new_share is 50%" in said) == (2, True), said
