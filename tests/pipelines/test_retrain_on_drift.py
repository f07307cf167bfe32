# SPDX-License-Identifier: Apache-2.0
"""From drift to a new champion: nothing runs without drift; with it, old and new data go through the same gate."""

import hashlib
import json
import os
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
from edgewright.trust import archive
from edgewright.trust.signed import BOM

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
WAITING = """
from pathlib import Path
from torch import nn


def model(sample, outputs):
    if Path("gate").exists():
        Path("gate").read_bytes()
    return nn.Linear(sample[0], outputs)
"""


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


def write(project: Project, batch: str, release: Any = "release.yaml", start: str = "scratch", **guard: Any) -> None:
    """Write retrain.yaml."""
    drift = {"reports": "reports", "references": ["in-the-field.bundle"]}
    data = {"name": batch, "source": f"{batch}.npz"}
    config = {"drift": drift, "release": release, "new_data": data, "start": start, "guard": guard}
    page = yaml.safe_dump({"parameters": {"config": config}})
    (project.folder / "retrain.yaml").write_text(page, encoding="utf-8")


def retrain(project: Project, batch: str, **more: Any) -> tuple[int | None, str]:
    write(project, batch, **more)
    ended = project.edgewright("retrain", "retrain.yaml")
    return ended.code, ended.output


def by_zenml(project: Project, batch: str, **more: Any) -> tuple[int | None, str]:
    write(project, batch, **more)
    arguments = ("pipeline", "run", "edgewright.retrain_on_drift", "-c", "retrain.yaml")
    ended = project.start(*arguments, program="zenml.cli.cli:cli").end()
    return ended.code, ended.output


def facts_of(project: Project) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((project.out / "release.json").read_text())
    return facts


def champions(project: Project) -> int:
    """The version that is champion."""
    client = MlflowClient(f"sqlite:///{project.folder}/edgewright-out/mlflow.db")
    return int(client.get_model_version_by_alias("table-phone", "champion").version)


def test_drift_is_answered_once_and_only_drift(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    save(project.folder / "may.npz", 1500, SHIFT)

    # no drift: nothing is trained
    report(project, monkeypatch, slice_name="calm")
    code, said = by_zenml(project, "may")
    assert (code, "nothing is trained" in said) == (0, True), said
    assert "train_baseline" not in project.executed()

    # drift: old and new data, the same gate, against the champion on each
    report(project, monkeypatch, slice_name="shifted", change=lambda x: x + SHIFT)
    code, said = by_zenml(project, "may")
    assert code == 0, said
    facts = facts_of(project)
    assert facts["data"]["batches"] == ["first", "may"]
    [target] = facts["targets"]
    on = [finding["reason"] for finding in target["rungs"][-1]["gate"] if finding["rule"] == "champion"]
    assert ["batch 'first'" in on[0], "batch 'may'" in on[1]] == [True, True]
    assert champions(project) == 2
    client = MlflowClient(f"sqlite:///{project.folder}/edgewright-out/mlflow.db")
    [run] = client.search_runs(["1"], "tags.`edgewright.kind` = 'retraining'")
    assert run.data.tags["edgewright.outcome"] == "promoted"

    # the devices still run the model before it: what was answered is not answered again
    code, said = retrain(project, "may")
    assert (code, "this very data was trained on already" in said) == (10, True), said
    save(project.folder / "june.npz", 1600, SHIFT)
    code, said = by_zenml(project, "june")
    assert (code, "there is drift, and no retraining: the last one began" in said) == (10, True), said


def test_new_data_that_outweighs_the_old_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    report(project, monkeypatch, slice_name="poisoned", change=lambda x: x + SHIFT)
    save(project.folder / "flood.npz", 9000, SHIFT)
    code, said = retrain(project, "flood", cool_down_hours=0)
    assert (code, "of the training samples; guard.max_new_share is 50%" in said) == (2, True), said


def test_a_warm_start_goes_on_from_the_champion_s_baseline_and_from_no_other(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(project, monkeypatch, slice_name="warmer", change=lambda x: x + SHIFT)
    save(project.folder / "july.npz", 1700, SHIFT)
    before, champion = facts_of(project), champions(project)
    warm: dict[str, Any] = {"start": "warm", "cool_down_hours": 0}

    # whoever can write to the store puts other weights there
    [kept] = [
        file
        for file in (project.folder / "edgewright-out").glob("mlflow-artifacts/*/artifacts/baseline/weights.safetensors")
        if before["candidate_digest"] == hashlib.sha256((file.parent / "bundle.json").read_bytes()).hexdigest()
    ]
    weights = kept.read_bytes()
    kept.write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    code, said = retrain(project, "july", **warm)
    assert (code, "has not the baseline that was promoted" in said, "start: scratch" in said) == (2, True, True), said
    kept.write_bytes(weights)

    # killed after its promotion: what goes on has begun from the champion before, not from what it promoted itself
    write(project, "july", **warm)
    died = project.edgewright(
        "retrain", "retrain.yaml", kill_in="edgewright.integrations.services.mlflow:MlflowTracker.end_retraining"
    )
    assert died.killed, died.output
    assert champions(project) == champion + 1
    code, said = retrain(project, "july", start="warm")  # what goes on need not cool down
    assert code == 0, said
    assert "train_baseline" not in project.ran()
    assert champions(project) == champion + 1

    facts = facts_of(project)
    assert facts["candidate"]["parent"] == before["candidate_digest"]
    assert "Warm start from" in (project.out / "report.html").read_text()
    assert facts["candidate"]["history"][0]["train_loss"] < before["candidate"]["history"][0]["train_loss"] / 2
    bundle = project.out / "artifacts" / "phone.bundle"
    bill = json.loads(archive.content(bundle, archive.read(bundle)[BOM], 10**7))
    [ancestor] = bill["metadata"]["component"]["pedigree"]["ancestors"]
    assert ancestor["hashes"] == [{"alg": "SHA-256", "content": before["candidate_digest"]}]


def test_two_at_once_and_a_refusal(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first waits in its training until the second has ended; then the gate refuses it."""
    report(project, monkeypatch, slice_name="overlapping", change=lambda x: x + SHIFT)
    save(project.folder / "august.npz", 1800, SHIFT)
    (project.folder / "waiting.py").write_text(WAITING)
    gate = project.folder / "gate"
    os.mkfifo(gate)
    model = {"architecture": "waiting:model", "training": {"epochs": 1}}
    targets = [{**RELEASE["targets"][0], "budget": {"size_bytes": 10}}]
    champion = champions(project)
    write(project, "august", release={**RELEASE, "model": model, "targets": targets}, cool_down_hours=0)

    arguments = ("pipeline", "run", "edgewright.retrain_on_drift", "-c", "retrain.yaml")
    first = project.start(*arguments, program="zenml.cli.cli:cli")
    with gate.open("w"):  # opens when the first has come to its model
        second = project.edgewright("retrain", "retrain.yaml", log="second.txt")
        gate.unlink()
    assert (second.code, "another run of this release is under way" in second.output) == (2, True), second.output
    ended = first.end()
    assert (ended.code, "1 of 1 targets not promoted" in ended.output) == (1, True), ended.output
    assert champions(project) == champion
