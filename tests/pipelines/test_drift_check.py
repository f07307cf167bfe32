# SPDX-License-Identifier: Apache-2.0
"""From a release to a verdict on its devices: the command line and the pipeline, with exit codes that schedulers understand."""

import hashlib
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import drift_fleet
import pytest
import yaml
from drift_fleet import Fleet, edit, make_training, shift_first
from mlflow import MlflowClient
from release_project import Ended, Project

from edgewright.drift.reference import Reference, read, write

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), "chromium"
)
MOMENT = "2027-01-15T08:00:00"


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return make_training(tmp_path_factory.mktemp("training"))


@pytest.fixture
def fleet(reference: Reference, tmp_path: Path) -> Fleet:
    write(reference, tmp_path / "reference.json")
    return Fleet(reference, tmp_path)


def drift(fleet: Fleet, *more: str) -> Ended:
    arguments = ("drift", "reports", "--reference", "reference.json", "--now", MOMENT, *more)
    return Project(fleet.folder, {}).edgewright(*arguments)


def test_no_drift_in_reports_of_both_encodings_ends_with_0(fleet: Fleet) -> None:
    fleet.send_many(10, samples=30)
    for number in range(10):
        fleet.send(f"terse-{number}", samples=30, encoding="cbor")
    ended = drift(fleet)
    assert ended.code == 0, ended.output
    assert "✓ no drift  phone, all devices, last day" in ended.output
    page = json.loads((fleet.folder / "drift" / "drift.json").read_text())
    assert (page["now"], page["refused"]) == (f"{MOMENT}+00:00", {})


def test_drift_ends_with_10_is_recorded_and_its_page_is_whole(fleet: Fleet) -> None:
    fleet.send_many(20, samples=60, change=shift_first(1))
    edit(fleet.send("hostile"), device="<script>alert(1)</script>")
    ended = drift(fleet, "--tracking", f"sqlite:///{fleet.folder}/mlflow.db")
    assert ended.code == 10, ended.output
    assert "drift feature 0: size 0." in ended.output
    assert "refused, breaks the schema: 1" in ended.output
    page = (fleet.folder / "drift" / "drift.html").read_text()
    assert "<script" not in page
    assert page.count("<svg") >= 7
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr",
         f"--user-data-dir={fleet.folder / 'profile'}", "--dump-dom", (fleet.folder / "drift" / "drift.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    client = MlflowClient(f"sqlite:///{fleet.folder}/mlflow.db")
    [run] = client.search_runs(["1"])
    assert run.data.tags["edgewright.verdict"] == "drift"
    assert run.data.metrics["phone.all-devices.day.feature 0.size"] > 0.2
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"drift.html", "drift.json"}


def test_drift_of_a_day_on_which_nobody_checked_is_found_later(fleet: Fleet) -> None:
    fleet.send_many(20, samples=60, days_ago=3, change=shift_first(2))
    fleet.send_many(20, samples=60)
    ended = drift(fleet)
    assert ended.code == 10, ended.output
    assert "✓ no drift  phone, all devices, last day" in ended.output
    assert "✕ drift  phone, all devices, last week" in ended.output


def test_a_small_difference_ends_with_11(fleet: Fleet) -> None:
    (fleet.folder / "drift.yaml").write_text("levels: {material: 0.6}\nreports: reports\nreferences: [reference.json]\n")
    fleet.send_many(20, samples=60, change=shift_first(1))
    ended = drift(fleet, "--config", "drift.yaml")
    assert ended.code == 11, ended.output
    assert "? watch" in ended.output


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--now", "today"), "'today' is no time"),
        (("--reference", "nowhere.json"), "the reference cannot be read"),
        (("--now", "2027-03-01"), "they have seen at least 100 samples"),
    ],
)
def test_what_cannot_be_judged_by_ends_with_2(fleet: Fleet, more: tuple[str, ...], said: str) -> None:
    fleet.send("a")
    ended = drift(fleet, *more)
    assert ended.code == 2, ended.output
    assert said in ended.output
    assert "Traceback" not in ended.output


def test_from_a_release_to_its_devices_by_zenml(project: Project) -> None:
    project.write()
    released = project.edgewright("run", "release.yaml")
    assert released.code == 0, released.output
    reference = read(project.out / "references" / "a.json")
    manifest = project.out / "artifacts" / "a" / "bundle.json"
    assert reference.model == hashlib.sha256(manifest.read_bytes()).hexdigest()
    assert set(reference.inputs) == {"mean", "standard deviation", "minimum", "maximum"}

    check = {"reports": "reports", "references": ["edgewright-out/digits/references/a.json"]}
    (project.folder / "drift.yaml").write_text(yaml.safe_dump({"parameters": {"config": check}}))
    (project.folder / "reports").mkdir()
    (project.folder / "reports" / "none.json").write_text("{}")
    arguments = ("pipeline", "run", "edgewright.drift_check", "-c", "drift.yaml")
    ended = project.start(*arguments, program="zenml.cli.cli:cli").end()
    assert ended.code == 2, ended.output
    assert "the reports break" in ended.output
    facts = json.loads((project.folder / "edgewright-out" / "drift" / "drift.json").read_text())
    assert facts["refused"] == {"breaks the schema": 1}
    client = MlflowClient(f"sqlite:///{project.folder}/edgewright-out/mlflow.db")
    runs = client.search_runs(["1"], "tags.`edgewright.kind` = 'drift'")
    assert [run.info.status for run in runs] == ["FINISHED"]


@pytest.mark.parametrize(
    ("by", "more", "code"),
    [
        (0, {}, 0),
        (1, {}, 10),
        (1, {"config": {"levels": {"material": 0.6}}}, 11),
        (0, {"schedule": {"cron_expression": "0 4 * * *"}}, 1),
    ],
)
def test_zenml_passes_on_the_codes_that_schedulers_act_on(
    by: float, more: dict[str, Any], code: int, reference: Reference, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift_fleet, "NOW", time.time())
    write(reference, project.folder / "reference.json")
    Fleet(reference, project.folder).send_many(20, samples=60, change=shift_first(by))
    config = {"reports": "reports", "references": ["reference.json"], **more.pop("config", {})}
    (project.folder / "drift.yaml").write_text(yaml.safe_dump({"parameters": {"config": config}, **more}))
    ended = project.start("pipeline", "run", "edgewright.drift_check", "-c", "drift.yaml", program="zenml.cli.cli:cli").end()
    assert ended.code == code, ended.output
    said = {0: "✓ no drift", 10: "Error: drift: phone", 11: "Error: watch: phone", 1: "does not support scheduling"}
    assert said[code] in ended.output
