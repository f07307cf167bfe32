# SPDX-License-Identifier: Apache-2.0
"""The main job as `make demo` runs it: a real CNN to three real runtimes, promoted, recorded, reported."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from release_project import Ended, Project

from edgewright.artifact import Artifact

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart" / "release.yaml"
TARGETS = ("server", "phone", "microcontroller")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ended]:
    folder = tmp_path_factory.mktemp("quickstart")
    shutil.copy(QUICKSTART, folder)
    project = Project(folder, yaml.safe_load(QUICKSTART.read_text())["parameters"]["config"])
    return project, project.edgewright("run", "release.yaml")


@pytest.fixture(scope="module")
def facts(released: tuple[Project, Ended]) -> Any:
    return json.loads((released[0].out / "release.json").read_text())


def test_everything_is_promoted_and_the_table_says_so(released: tuple[Project, Ended]) -> None:
    ended = released[1]
    assert ended.code == 0, ended.output
    assert "digits: 3 of 3 targets promoted" in ended.output
    for word in (*TARGETS, "ptq_w8a8", "top1", "LSB", "p95", "report.html", "mlflow.db"):
        assert word in ended.output


RUNGS = {"server": "ptq_w8a8", "phone": "ptq_w8a8", "microcontroller": "prune50-ptq_w8a8"}


def test_int8_keeps_the_accuracy_and_a_third_of_the_size_and_the_smallest_target_climbs_on(facts: Any) -> None:
    assert facts["baseline"]["test"]["top1"]["value"] > 0.97
    for target in facts["targets"]:
        rung = target["rungs"][target["passed_rung"]]
        assert rung["recipe"] == RUNGS[target["name"]]
        assert rung["validation"]["ratios"]["size_bytes"]["value"] < 0.4
        assert abs(rung["test"]["measurements"]["top1"]["value"] - facts["baseline"]["test"]["top1"]["value"]) <= 0.02


def test_microcontroller_numbers_are_emulated_and_its_arena_exact(facts: Any) -> None:
    measured = {
        target["name"]: target["rungs"][target["passed_rung"]]["validation"]["measurements"] for target in facts["targets"]
    }
    assert measured["microcontroller"]["latency_p95_ms"]["evidence"] == "emulated"
    assert measured["microcontroller"]["peak_memory_bytes"]["method"].count("arena")
    assert measured["phone"]["latency_p95_ms"]["evidence"] == "measured"


def test_every_artifact_is_delivered_whole_with_its_manifest(released: tuple[Project, Ended]) -> None:
    for target in TARGETS:
        manifest = Artifact.open(released[0].out / "artifacts" / target).facts
        assert manifest.preprocessing.scale == 0.0625
        assert manifest.labels == tuple("0123456789")
        assert manifest.toolchain
    inputs = Artifact.open(released[0].out / "artifacts" / "microcontroller").facts.inputs
    assert (inputs[0].dtype, inputs[0].layout) == ("int8", "NHWC")


def test_mlflow_holds_runs_numbers_with_evidence_and_champions(released: tuple[Project, Ended]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{released[0].folder}/edgewright-out/mlflow.db")
    experiment = client.get_experiment_by_name("edgewright")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(runs) - len(children) == 1
    tried = {f"{target}/{recipe}" for target, recipe in RUNGS.items()} | {"microcontroller/ptq_w8a8"}
    assert tried <= {run.info.run_name for run in children}
    pruned = next(run for run in children if run.info.run_name == "microcontroller/prune50-ptq_w8a8")
    assert pruned.data.metrics["pass.prune50.achieved"] >= 0.5
    phone = next(run for run in children if run.info.run_name == "phone/ptq_w8a8")
    assert phone.data.metrics["latency_p95_ms"] > 0
    assert phone.data.tags["latency_p95_ms.evidence"] == "measured"
    assert phone.data.tags["latency_p95_ms.n"] == "300"
    for target in TARGETS:
        version = client.get_model_version_by_alias(f"digits-{target}", "champion")
        assert version.tags["edgewright.digest"] == Artifact.open(released[0].out / "artifacts" / target).digest


def test_the_report_is_one_page_and_in_the_zenml_store(released: tuple[Project, Ended]) -> None:
    page = (released[0].out / "report.html").read_bytes()
    stored = [file.read_bytes() for file in (released[0].folder / ".zenml").rglob("*.html")]
    assert page in stored
