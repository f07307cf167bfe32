# SPDX-License-Identifier: Apache-2.0
"""The MLflow tracker on real sqlite stores: what is recorded, what is promoted, and what interruptions leave behind."""

import json
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from tracked_releases import active_runs, connected, make_artifact, make_facts

from edgewright.errors import StoreError
from edgewright.integrations.services.mlflow import MlflowTracker
from edgewright.registry import Champion
from edgewright.report import release_json
from edgewright.report.facts import ReleaseFacts


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with its schema and nothing else, made once: the schema takes seconds."""
    database = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowTracker().connect(f"sqlite:///{database}", "unused")
    return database


@pytest.fixture
def uri(tmp_path: Path, empty_store: Path) -> str:
    folder = tmp_path / "my store"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    return f"sqlite:///{folder}/mlflow.db"


def test_a_release_is_recorded_whole_and_found_by_its_digest(tmp_path: Path, uri: str, report_files: Path) -> None:
    tracker, artifact = connected(uri), make_artifact(tmp_path / "a", b"int8")
    facts = make_facts(artifact)
    assert tracker.recorded("1" * 64) is None
    run_id = tracker.record(facts, "1" * 64, report_files, {"phone": artifact})
    assert tracker.recorded("1" * 64) == run_id
    assert tracker.recorded("2" * 64) is None

    client = MlflowClient(tracking_uri=uri)
    parent = client.get_run(run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.params["targets.0.name"] == "phone"
    assert parent.data.params["many.key 149"] == "149"
    assert parent.data.metrics["baseline.test.top1"] == 0.9
    assert parent.data.metrics["parameters"] == 123
    assert [m.step for m in client.get_metric_history(run_id, "train_loss")] == [1, 2, 3]
    assert parent.data.tags["edgewright.data"] == "d" * 64
    assert parent.data.tags["edgewright.verdict.phone"] == "pass"
    assert sorted(file.path for file in client.list_artifacts(run_id)) == ["release.json", "report.html"]


def test_each_rung_is_a_child_run_with_its_measurements_and_their_evidence(
    tmp_path: Path, uri: str, report_files: Path
) -> None:
    tracker, artifact = connected(uri), make_artifact(tmp_path / "a", b"int8")
    run_id = tracker.record(make_facts(artifact), "1" * 64, report_files, {"phone": artifact})
    client = MlflowClient(tracking_uri=uri)
    children = {
        (run.info.run_name, run.data.tags["edgewright.verdict"]): run
        for run in client.search_runs([client.get_run(run_id).info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    }
    passed, refused = children["phone/ptq_w8a8", "passed"], children["phone/fp16", "refused"]
    assert passed.data.metrics["top1"] == 0.9
    assert passed.data.metrics["test.top1"] == 0.88
    assert passed.data.metrics["ratio.size_bytes"] == 0.25
    assert passed.data.tags["top1.evidence"] == "measured"
    assert (passed.data.tags["top1.n"], passed.data.tags["top1.unit"]) == ("100", "fraction")
    assert passed.data.params["budget.size_bytes"] == "5.0"
    assert passed.data.tags["device.machine"] == "cpu x86_64"
    assert refused.data.tags["edgewright.reasons"] == "too large: 9 of 5 bytes"
    assert "top1" not in refused.data.metrics, "what nobody measured is absent"
    assert children["phone/fp16", "failed"].info.status == "FAILED"
    assert client.list_artifacts(refused.info.run_id) == []


def test_recording_the_same_release_again_changes_nothing(tmp_path: Path, uri: str, report_files: Path) -> None:
    tracker, artifact = connected(uri), make_artifact(tmp_path / "a", b"int8")
    first = tracker.record(make_facts(artifact), "1" * 64, report_files, {"phone": artifact})
    before = active_runs(uri)
    assert connected(uri).record(make_facts(artifact), "1" * 64, report_files, {"phone": artifact}) == first
    assert active_runs(uri) == before


def test_an_interrupted_record_looks_incomplete_and_is_replaced(tmp_path: Path, uri: str, report_files: Path) -> None:
    tracker, artifact = connected(uri), make_artifact(tmp_path / "a", b"int8")
    (artifact.path / "model.onnx").rename(tmp_path / "away")
    with pytest.raises(StoreError, match="cannot record the release"):
        tracker.record(make_facts(artifact), "1" * 64, report_files, {"phone": artifact})
    left = active_runs(uri)
    assert left
    assert tracker.recorded("1" * 64) is None

    (tmp_path / "away").rename(artifact.path / "model.onnx")
    run_id = tracker.record(make_facts(artifact), "1" * 64, report_files, {"phone": artifact})
    assert tracker.recorded("1" * 64) == run_id
    assert not set(left) & set(active_runs(uri))
    assert len(active_runs(uri)) == 4


def test_an_artifact_is_registered_once_as_a_version_that_says_what_it_holds(
    tmp_path: Path, uri: str, report_files: Path
) -> None:
    tracker, artifact = connected(uri), make_artifact(tmp_path / "a", b"int8")
    release_json.write(make_facts(artifact), report_files / "release.json")
    run_id = tracker.record(make_facts(artifact), "1" * 64, report_files, {"phone": artifact})
    version = tracker.registry.register("digits-phone", artifact, run_id, {"release": "digits", "target": "phone"})
    assert connected(uri).registry.register("digits-phone", artifact, run_id, {}) == version
    client = MlflowClient(tracking_uri=uri)
    assert len(client.search_model_versions("name = 'digits-phone'")) == 1
    tags = client.get_model_version("digits-phone", version).tags
    assert (tags["edgewright.digest"], tags["sha256"]) == (artifact.digest, artifact.files["model.onnx"])
    assert tags["release"] == "digits"
    assert {name: str(one) for name, one in client.get_registered_model("digits-phone").aliases.items()} == {
        "candidate": version
    }
    facts, target = tracker.release_of("digits-phone", version)
    assert (facts, target) == (make_facts(artifact), "phone")
    champion = Champion(model="digits-phone", version=version, digest=artifact.digest)
    fetched = tracker.registry.fetch(champion, tmp_path / "fetched")
    assert fetched.main_file.read_bytes() == b"int8"
    assert (tmp_path / "fetched" / "extra" / "weights.bin").read_bytes() == b"more"


def test_a_champion_whose_files_were_changed_is_refused(tmp_path: Path, uri: str, report_files: Path) -> None:
    tracker, artifact = connected(uri), make_artifact(tmp_path / "a", b"int8")
    run_id = tracker.record(make_facts(artifact), "1" * 64, report_files, {"phone": artifact})
    version = tracker.registry.register("digits-phone", artifact, run_id, {})
    champion = Champion(model="digits-phone", version=version, digest=artifact.digest)
    stored = list((tmp_path / "my store").rglob("model.onnx"))
    assert len(stored) == 1, "files of a sqlite store lie beside the database"
    stored[0].write_bytes(b"evil")
    with pytest.raises(StoreError, match="was changed"):
        tracker.registry.fetch(champion, tmp_path / "fetched")
    make_artifact(stored[0].parent, b"evil, and sealed again")
    with pytest.raises(StoreError, match="not what was promoted"):
        tracker.registry.fetch(champion, tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


def test_a_signed_bundle_is_kept_with_its_run_and_found_by_the_version(tmp_path: Path, uri: str, report_files: Path) -> None:
    tracker, artifact = connected(uri), make_artifact(tmp_path / "a", b"int8")
    bundle, out = tmp_path / "phone.bundle", tmp_path / "out" / "phone.bundle"
    bundle.write_bytes(b"signed")
    run_id = tracker.record(make_facts(artifact), "1" * 64, report_files, {"phone": artifact})
    version = tracker.registry.register("digits-phone", artifact, run_id, {})
    assert not tracker.fetch_bundle("digits-phone", version, out), "promoted before bundles were signed"
    tags = tracker.keep_bundle(run_id, artifact, bundle)
    assert tracker.registry.register("digits-phone", artifact, run_id, tags) == version
    tracker.registry.set_alias("digits-phone", "champion", version)
    champion = connected(uri).registry.champion("digits-phone")
    assert champion is not None
    assert champion.run == run_id
    assert tracker.recorded_at(run_id) == connected(uri).recorded_at(run_id)
    assert tracker.fetch_bundle("digits-phone", version, out)
    assert out.read_bytes() == b"signed"
    (stored,) = (tmp_path / "my store").rglob("phone.bundle")
    stored.write_bytes(b"forged")
    assert tracker.fetch_bundle("digits-phone", version, out), "it is there already"
    out.unlink()
    with pytest.raises(StoreError, match="is not what was kept"):
        tracker.fetch_bundle("digits-phone", version, out)
    assert not out.exists()


def test_a_champion_set_by_hand_is_refused(uri: str) -> None:
    tracker = connected(uri)
    client = MlflowClient(tracking_uri=uri)
    client.create_registered_model("digits-phone")
    version = client.create_model_version("digits-phone", "http://elsewhere/model")
    client.set_registered_model_alias("digits-phone", "champion", version.version)
    with pytest.raises(StoreError, match="not registered by edgewright"):
        tracker.registry.champion("digits-phone")


def test_a_deleted_experiment_is_named(uri: str) -> None:
    client = MlflowClient(tracking_uri=uri)
    client.delete_experiment(client.create_experiment("edge"))
    with pytest.raises(StoreError, match="experiment 'edge' was deleted"):
        connected(uri)


def test_facts_survive_the_round_trip_as_json(tmp_path: Path) -> None:
    facts = make_facts(make_artifact(tmp_path / "a", b"int8"))
    assert ReleaseFacts.model_validate(json.loads(facts.model_dump_json())) == facts
