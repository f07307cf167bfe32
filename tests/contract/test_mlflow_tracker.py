# SPDX-License-Identifier: Apache-2.0
"""The MLflow tracker on real sqlite stores: what is recorded, what is promoted, and what interruptions leave behind."""

import contextlib
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from edgewright.artifact import Artifact, ArtifactManifest, CandidateFacts, Epoch, TensorSpec
from edgewright.config import ModelSpec, Preprocessing
from edgewright.data.dataset import DataCard
from edgewright.errors import GateRefused, StoreError
from edgewright.gate.verdict import Finding
from edgewright.integrations.services.mlflow import MlflowTracker
from edgewright.measure import DeviceFacts, Measurement
from edgewright.report.facts import ReleaseFacts, RungFacts, TargetFacts
from edgewright.validation import Parity, Sanity, ValidationFacts


def measured(value: float, unit: str) -> Measurement:
    return Measurement(
        value=value, unit=unit, n=100, low=value - 0.01, high=value + 0.01, confidence=0.95, evidence="measured", method="test"
    )


def make_artifact(folder: Path, content: bytes) -> Artifact:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    (folder / "extra").mkdir(exist_ok=True)
    (folder / "extra" / "weights.bin").write_bytes(b"more")
    tensor = TensorSpec(name="x", shape=(1, 4), dtype="float32", layout="NF")
    return Artifact.seal(
        folder,
        ArtifactManifest(
            format="onnx",
            file="model.onnx",
            size_bytes=len(content) + 4,
            recipe="ptq_w8a8",
            task="classification",
            inputs=(tensor,),
            outputs=(tensor,),
            preprocessing=Preprocessing(layout="F"),
            toolchain={"onnx": "1.20"},
            parent="f" * 64,
        ),
    )


def make_facts(artifact: Artifact, target: str = "phone") -> ReleaseFacts:
    device = DeviceFacts(name="here", kind="local", machine="cpu x86_64", cores=2, os="Linux", threads=1)
    run = ValidationFacts(
        target=target,
        recipe="ptq_w8a8",
        artifact=artifact.digest,
        split="validation",
        measurements={"top1": measured(0.9, "fraction"), "size_bytes": measured(1000, "bytes")},
        parent={"size_bytes": measured(4000, "bytes")},
        ratios={"size_bytes": measured(0.25, "fraction")},
        parity=Parity(
            n=100,
            agreement=0.99,
            worst_difference=0.1,
            worst_difference_lsb=1.0,
            relative_difference=0.01,
            saturation=0.0,
            gain=1.0,
            correlation=0.99,
            constant_outputs=(),
            not_finite=0,
        ),
        sanity=Sanity(n=100),
        device=device,
    )
    rungs = (
        RungFacts(recipe="fp16", status="refused", reasons=("too large: 9 of 5 bytes",)),
        RungFacts(
            recipe="ptq_w8a8",
            status="passed",
            gate=(Finding(rule="accuracy", outcome="pass", reason="as good"),),
            artifact_digest=artifact.digest,
            manifest=artifact.facts,
            validation=run,
            test=run.model_copy(update={"split": "test", "measurements": {"top1": measured(0.88, "fraction")}}),
        ),
        RungFacts(recipe="fp16", status="failed", reasons=("the toolkit crashed",)),
    )
    return ReleaseFacts(
        release="digits",
        edgewright="0.1.0",
        metric="top1",
        higher_is_better=True,
        config={"name": "digits", "targets": [{"name": target, "options": {}}], "many": {f"key {i}": i for i in range(150)}},
        data=DataCard(
            source="digits",
            task="classification",
            sample_shape=(4,),
            sample_dtype="float32",
            preprocessing=Preprocessing(layout="F"),
            counts={"train": 10, "calibration": 2, "validation": 3, "test": 5},
            source_digest="d" * 64,
        ),
        data_digest="d" * 64,
        code_digest="c" * 64,
        checks=(),
        candidate=CandidateFacts(
            framework="pytorch",
            model=ModelSpec(),
            input_shape=(4,),
            outputs=10,
            parameters=123,
            history=tuple(
                Epoch(epoch=i, train_loss=1 / i, validation_loss=2 / i, validation_score=0.5, learning_rate=0.1)
                for i in range(1, 4)
            ),
        ),
        candidate_digest="e" * 64,
        baseline={"validation": {"top1": measured(0.91, "fraction")}, "test": {"top1": measured(0.9, "fraction")}},
        targets=(
            TargetFacts(
                name=target,
                runtime="onnxruntime",
                device="local",
                model=f"digits-{target}",
                outcome="pass",
                passed_rung=1,
                rungs=rungs,
                budget={"size_bytes": 5},
                test_looks=1,
            ),
        ),
        toolchain={"torch": "2.13"},
    )


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "report.html").write_text("<p>report</p>")
    (folder / "release.json").write_text("{}")
    (folder / "mlflow.db").write_text("not part of the report")
    return folder


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


def connected(uri: str) -> MlflowTracker:
    tracker = MlflowTracker()
    tracker.connect(uri, "edge")
    return tracker


def active_runs(uri: str) -> list[str]:
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("edge")
    assert experiment is not None
    return [run.info.run_id for run in client.search_runs([experiment.experiment_id])]


def test_a_release_is_recorded_whole_and_found_by_its_digest(tmp_path: Path, uri: str, files: Path) -> None:
    tracker, artifact = connected(uri), make_artifact(tmp_path / "a", b"int8")
    facts = make_facts(artifact)
    assert tracker.recorded("1" * 64) is None
    run_id = tracker.record(facts, "1" * 64, files, {"phone": artifact})
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


def test_each_rung_is_a_child_run_with_its_measurements_and_their_evidence(tmp_path: Path, uri: str, files: Path) -> None:
    tracker, artifact = connected(uri), make_artifact(tmp_path / "a", b"int8")
    run_id = tracker.record(make_facts(artifact), "1" * 64, files, {"phone": artifact})
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


def test_recording_the_same_release_again_changes_nothing(tmp_path: Path, uri: str, files: Path) -> None:
    tracker, artifact = connected(uri), make_artifact(tmp_path / "a", b"int8")
    first = tracker.record(make_facts(artifact), "1" * 64, files, {"phone": artifact})
    before = active_runs(uri)
    assert connected(uri).record(make_facts(artifact), "1" * 64, files, {"phone": artifact}) == first
    assert active_runs(uri) == before


def test_an_interrupted_record_looks_incomplete_and_is_replaced(tmp_path: Path, uri: str, files: Path) -> None:
    tracker, artifact = connected(uri), make_artifact(tmp_path / "a", b"int8")
    (artifact.path / "model.onnx").rename(tmp_path / "away")
    with pytest.raises(StoreError, match="cannot record the release"):
        tracker.record(make_facts(artifact), "1" * 64, files, {"phone": artifact})
    left = active_runs(uri)
    assert left
    assert tracker.recorded("1" * 64) is None

    (tmp_path / "away").rename(artifact.path / "model.onnx")
    run_id = tracker.record(make_facts(artifact), "1" * 64, files, {"phone": artifact})
    assert tracker.recorded("1" * 64) == run_id
    assert not set(left) & set(active_runs(uri))
    assert len(active_runs(uri)) == 4


def test_the_champion_moves_and_the_one_before_it_can_be_rolled_back_to(tmp_path: Path, uri: str, files: Path) -> None:
    tracker = connected(uri)
    assert tracker.champion("digits-phone") is None
    old, new = make_artifact(tmp_path / "a", b"old"), make_artifact(tmp_path / "b", b"new")
    first_run = tracker.record(make_facts(old), "1" * 64, files, {"phone": old})
    first = tracker.promote("digits-phone", old, first_run, {"release": "digits"}, None)
    second_run = tracker.record(make_facts(new), "2" * 64, files, {"phone": new})
    second = tracker.promote("digits-phone", new, second_run, {"release": "digits"}, old.digest)

    client = MlflowClient(tracking_uri=uri)
    aliases = client.get_registered_model("digits-phone").aliases
    assert {name: str(version) for name, version in aliases.items()} == {
        "candidate": second,
        "champion": second,
        "rollback": first,
    }
    version = client.get_model_version("digits-phone", second)
    assert version.tags["edgewright.digest"] == new.digest
    assert version.tags["sha256"] == new.files["model.onnx"]
    assert version.tags["release"] == "digits"

    champion = tracker.champion("digits-phone")
    assert champion is not None
    assert champion.digest == new.digest
    fetched = tracker.fetch(champion, tmp_path / "fetched")
    assert fetched.main_file.read_bytes() == b"new"
    assert (tmp_path / "fetched" / "extra" / "weights.bin").read_bytes() == b"more"

    assert tracker.promote("digits-phone", old, first_run, {}, new.digest) == first, "going back reuses the version"
    aliases = client.get_registered_model("digits-phone").aliases
    assert (str(aliases["champion"]), str(aliases["rollback"])) == (first, second)


@pytest.mark.parametrize("judged_against", [None, "0" * 64])
def test_what_was_not_judged_against_the_champion_does_not_take_its_place(
    judged_against: str | None, tmp_path: Path, uri: str, files: Path
) -> None:
    tracker = connected(uri)
    first, other = make_artifact(tmp_path / "a", b"first"), make_artifact(tmp_path / "b", b"other")
    run_id = tracker.record(make_facts(first), "1" * 64, files, {"phone": first})
    tracker.promote("digits-phone", first, run_id, {}, None)
    other_run = tracker.record(make_facts(other), "2" * 64, files, {"phone": other})
    with pytest.raises(GateRefused, match="while this release ran: its champion is version 1") as told:
        connected(uri).promote("digits-phone", other, other_run, {}, judged_against)
    assert "edgewright run" in told.value.to_do
    client = MlflowClient(tracking_uri=uri)
    assert len(client.search_model_versions("name = 'digits-phone'")) == 1
    assert set(client.get_registered_model("digits-phone").aliases) == {"candidate", "champion"}
    client.delete_registered_model_alias("digits-phone", "champion")
    with pytest.raises(GateRefused, match="it has no champion"):
        tracker.promote("digits-phone", other, other_run, {}, first.digest)


def test_promoting_the_champion_again_changes_nothing(tmp_path: Path, uri: str, files: Path) -> None:
    tracker, artifact = connected(uri), make_artifact(tmp_path / "a", b"int8")
    run_id = tracker.record(make_facts(artifact), "1" * 64, files, {"phone": artifact})
    version = tracker.promote("digits-phone", artifact, run_id, {}, None)
    client = MlflowClient(tracking_uri=uri)
    before = dict(client.get_registered_model("digits-phone").aliases)
    assert tracker.promote("digits-phone", artifact, run_id, {}, None) == version
    assert dict(client.get_registered_model("digits-phone").aliases) == before
    assert "rollback" not in before
    assert len(client.search_model_versions("name = 'digits-phone'")) == 1


def test_a_promotion_interrupted_before_its_aliases_is_finished_by_the_next(tmp_path: Path, uri: str, files: Path) -> None:
    tracker, artifact = connected(uri), make_artifact(tmp_path / "a", b"int8")
    run_id = tracker.record(make_facts(artifact), "1" * 64, files, {"phone": artifact})
    client = MlflowClient(tracking_uri=uri)
    version = tracker.promote("digits-phone", artifact, run_id, {}, None)
    for alias in ("candidate", "champion"):
        client.delete_registered_model_alias("digits-phone", alias)
    assert tracker.champion("digits-phone") is None
    assert connected(uri).promote("digits-phone", artifact, run_id, {}, None) == version
    assert len(client.search_model_versions("name = 'digits-phone'")) == 1


def test_an_artifact_that_was_not_recorded_cannot_be_promoted(tmp_path: Path, uri: str, files: Path) -> None:
    tracker, artifact = connected(uri), make_artifact(tmp_path / "a", b"int8")
    run_id = tracker.record(make_facts(artifact), "1" * 64, files, {"phone": artifact})
    with pytest.raises(StoreError, match="holds no artifact"):
        tracker.promote("digits-phone", make_artifact(tmp_path / "b", b"other"), run_id, {}, None)
    assert tracker.champion("digits-phone") is None


def test_a_champion_whose_files_were_changed_is_refused(tmp_path: Path, uri: str, files: Path) -> None:
    tracker, artifact = connected(uri), make_artifact(tmp_path / "a", b"int8")
    run_id = tracker.record(make_facts(artifact), "1" * 64, files, {"phone": artifact})
    tracker.promote("digits-phone", artifact, run_id, {}, None)
    champion = tracker.champion("digits-phone")
    assert champion is not None
    stored = list((tmp_path / "my store").rglob("model.onnx"))
    assert len(stored) == 1, "files of a sqlite store lie beside the database"
    stored[0].write_bytes(b"evil")
    with pytest.raises(StoreError, match="was changed"):
        tracker.fetch(champion, tmp_path / "fetched")
    make_artifact(stored[0].parent, b"evil, and sealed again")
    with pytest.raises(StoreError, match="not what was promoted"):
        tracker.fetch(champion, tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


def test_a_champion_set_by_hand_is_refused(uri: str) -> None:
    tracker = connected(uri)
    client = MlflowClient(tracking_uri=uri)
    client.create_registered_model("digits-phone")
    version = client.create_model_version("digits-phone", "http://elsewhere/model")
    client.set_registered_model_alias("digits-phone", "champion", version.version)
    with pytest.raises(StoreError, match="not promoted by edgewright"):
        tracker.champion("digits-phone")


def release_in_this_process(uri: str, folder: Path, number: str) -> None:
    """What each of two processes does below: record a release that both have, and one of its own; promote its own."""
    tracker = connected(uri)
    own = make_artifact(folder / number, f"weights {number}".encode())
    shared = make_artifact(folder / f"shared{number}", b"the same for both")
    tracker.record(make_facts(shared), "5" * 64, folder / "out", {"phone": shared})
    run_id = tracker.record(make_facts(own), number * 64, folder / "out", {"phone": own})
    with contextlib.suppress(GateRefused):  # the other one was promoted first
        tracker.promote("digits-phone", own, run_id, {}, None)


def test_two_first_releases_at_once_on_a_fresh_store(tmp_path: Path, files: Path) -> None:
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    workers = [
        subprocess.Popen([sys.executable, __file__, uri, str(tmp_path), number], stderr=subprocess.PIPE, text=True)
        for number in ("1", "2")
    ]
    said = [worker.communicate(timeout=120)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    aliases = MlflowClient(tracking_uri=uri).get_registered_model("digits-phone").aliases
    assert aliases == {"candidate": aliases["champion"], "champion": aliases["champion"]}
    assert str(aliases["champion"]) == "1", "one of them was promoted, the other one was told"
    tracker = connected(uri)
    assert all(tracker.recorded(digit * 64) for digit in "125")
    assert len(active_runs(uri)) == 3 * 4, "the release both had was recorded once"


def _unwritable(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "file").write_text("a file, not a folder")
    (tmp_path / "text.db").write_text("this is no database, and says so at some length " * 10)
    (tmp_path / "folder.db").mkdir()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    return {
        "below a file": f"sqlite:///{tmp_path}/file/mlflow.db",
        "not a database": f"sqlite:///{tmp_path}/text.db",
        "a folder": f"sqlite:///{tmp_path}/folder.db",
        "no server": f"http://user:secret@127.0.0.1:{port}",
        "no database server": f"postgresql://user:secret@127.0.0.1:{port}/mlflow",
        "unknown scheme": "ftp2://somewhere/mlflow",
        "a plain folder": str(tmp_path / "mlruns"),
    }


@pytest.mark.parametrize(
    "case",
    ["below a file", "not a database", "a folder", "no server", "no database server", "unknown scheme", "a plain folder"],
)
def test_a_store_that_cannot_be_used_is_refused_in_one_screen(tmp_path: Path, case: str) -> None:
    uri = _unwritable(tmp_path)[case]
    with pytest.raises(StoreError) as caught:
        connected(uri)
    message = caught.value.format_message()
    assert "cannot open the tracking store" in message
    assert "tracking.uri" in message
    assert "secret" not in message
    assert len(message) < 800
    assert message.count("\n") < 6


def test_a_deleted_experiment_is_named(uri: str) -> None:
    client = MlflowClient(tracking_uri=uri)
    client.delete_experiment(client.create_experiment("edge"))
    with pytest.raises(StoreError, match="experiment 'edge' was deleted"):
        connected(uri)


def test_facts_survive_the_round_trip_as_json(tmp_path: Path) -> None:
    facts = make_facts(make_artifact(tmp_path / "a", b"int8"))
    assert ReleaseFacts.model_validate(json.loads(facts.model_dump_json())) == facts


if __name__ == "__main__":
    release_in_this_process(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
