# SPDX-License-Identifier: Apache-2.0
"""A release small enough to record in a moment, and a process that records it beside another."""

import contextlib
import sys
from pathlib import Path

from mlflow.tracking import MlflowClient

from edgewright.artifact import Artifact, ArtifactManifest, CandidateFacts, Epoch, TensorSpec
from edgewright.config import ModelSpec, Preprocessing
from edgewright.data.dataset import DataCard
from edgewright.errors import GateRefused
from edgewright.gate.verdict import Finding
from edgewright.integrations.services.mlflow import MlflowTracker
from edgewright.measure import DeviceFacts, Measurement
from edgewright.promotion.ledger import Ledger
from edgewright.promotion.policy import OpenPolicy
from edgewright.promotion.promote import promote
from edgewright.promotion.release import Offer, Recorded
from edgewright.report.facts import ReleaseFacts, RungFacts, TargetFacts
from edgewright.trust.keys import own_key, signer_of
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


def connected(uri: str) -> MlflowTracker:
    tracker = MlflowTracker()
    tracker.connect(uri, "edge")
    return tracker


def active_runs(uri: str) -> list[str]:
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("edge")
    assert experiment is not None
    return [run.info.run_id for run in client.search_runs([experiment.experiment_id])]


def release_in_this_process(uri: str, folder: Path, number: str) -> None:
    """What each of two processes does at once: record a release that both have, and one of its own; promote its own."""
    tracker = connected(uri)
    own = make_artifact(folder / number, f"weights {number}".encode())
    shared = make_artifact(folder / f"shared{number}", b"the same for both")
    tracker.record(make_facts(shared), "5" * 64, folder / "out", {"phone": shared})
    run_id = tracker.record(make_facts(own), number * 64, folder / "out", {"phone": own})
    offer = Offer(make_facts(own), make_facts(own).targets[0], own)
    ledger = Ledger.of("digits-phone", tracker, OpenPolicy(), folder)
    with contextlib.suppress(GateRefused):  # the other one was promoted first
        promote(offer, Recorded(run_id, number * 64, {}), tracker, ledger, signer_of(own_key()))


if __name__ == "__main__":
    release_in_this_process(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
