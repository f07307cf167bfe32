# SPDX-License-Identifier: Apache-2.0
"""A release as it could have been, for the tests of the report.

Three targets: 'phone' passes on its second rung, 'board' stays inconclusive, 'sensor' fails.
"""

from typing import Any

from edgewright.artifact import ArtifactManifest, CandidateFacts, Epoch, TensorSpec
from edgewright.config.data import Preprocessing
from edgewright.config.model import ModelSpec
from edgewright.config.release import ReleaseConfig
from edgewright.data.dataset import DataCard
from edgewright.gate.verdict import Finding, Outcome
from edgewright.measure import DeviceFacts, Evidence, Measurement
from edgewright.report.facts import CheckResult, ConfusionChange, ReleaseFacts, RungFacts, TargetFacts
from edgewright.validation import Parity, Sanity, ValidationFacts

LABELS = tuple(str(digit) for digit in range(10))
PREPROCESSING = Preprocessing(scale=0.0625, layout="HW")


def make_facts(**changes: Any) -> ReleaseFacts:
    """The whole release; ``changes`` replace fields of it."""
    fields: dict[str, Any] = {
        "release": "digits",
        "edgewright": "0.1.0",
        "metric": "top1",
        "higher_is_better": True,
        "config": _config().model_dump(mode="json"),
        "data": DataCard(
            source="digits",
            task="classification",
            labels=LABELS,
            sample_shape=(8, 8),
            sample_dtype="float32",
            preprocessing=PREPROCESSING,
            counts={"train": 898, "calibration": 180, "validation": 270, "test": 449},
            source_digest="5d" * 32,
        ),
        "data_digest": "da" * 32,
        "code_digest": "c0" * 32,
        "checks": (
            CheckResult(rule="missing values at most 0 %", passed=True, detail="none in 1797 samples"),
            CheckResult(rule="class share between 1 % and 95 %", passed=True, detail="9.7 % ('8') to 10.2 % ('3')"),
            CheckResult(rule="no sample in two splits", passed=True, detail="1797 samples, 1797 different"),
        ),
        "candidate": CandidateFacts(
            framework="pytorch",
            model=ModelSpec(),
            input_shape=(1, 8, 8),
            outputs=10,
            parameters=77_706,
            history=tuple(_epoch(epoch) for epoch in range(1, 21)),
            best_epoch=17,
        ),
        "candidate_digest": "ca" * 32,
        "baseline": {
            "validation": {"top1": score(0.9815, 270, 0.9574, 0.9921)},
            "test": {"top1": score(0.9866, 449, 0.9711, 0.9939)},
        },
        "targets": (_phone(), _board(), _sensor()),
        "toolchain": {
            "torch": "2.13.0",
            "onnxruntime": "1.24.1",
            "ai-edge-litert": "2.3.0",
            "tflite-micro": "0.dev20261023182759",
        },
    }
    return ReleaseFacts(**{**fields, **changes})


def score(value: float, n: int, low: float, high: float, evidence: Evidence = "measured") -> Measurement:
    return Measurement(
        value=value,
        unit="fraction",
        n=n,
        low=low,
        high=high,
        confidence=0.95,
        evidence=evidence,
        method="top-1, Wilson interval",
    )


def latency(value: float, low: float, high: float, evidence: Evidence = "measured", n: int = 300) -> Measurement:
    return Measurement(
        value=value,
        unit="ms",
        n=n,
        low=low,
        high=high,
        confidence=0.95,
        evidence=evidence,
        method="order statistics, one-sided 95 % bounds",
    )


def size(value: float) -> Measurement:
    return Measurement(value=value, unit="bytes", n=1, evidence="measured", method="all files of the artifact")


def memory(value: float, low: float | None = None, high: float | None = None, evidence: Evidence = "measured") -> Measurement:
    method = "peak resident memory above idle" if low else "tensor arena"
    return Measurement(value=value, unit="bytes", n=3 if low else 1, low=low, high=high, evidence=evidence, method=method)


def ratio(value: float, low: float | None = None, high: float | None = None, evidence: Evidence = "measured") -> Measurement:
    return Measurement(
        value=value,
        unit="ratio",
        n=300 if low else 1,
        low=low,
        high=high,
        confidence=0.95 if low else None,
        evidence=evidence,
        method="ratio of medians, bootstrap interval" if low else "quotient",
    )


def parity(n: int, agreement: float, lsb: float | None = 1.4, **changes: Any) -> Parity:
    fields: dict[str, Any] = {
        "n": n,
        "agreement": agreement,
        "worst_difference": 0.412,
        "worst_difference_lsb": lsb,
        "relative_difference": 0.0167,
        "saturation": 0.0004,
        "gain": 0.997,
        "correlation": 0.9991,
        "constant_outputs": (),
        "not_finite": 0,
    }
    return Parity(**{**fields, **changes})


def device(name: str) -> DeviceFacts:
    return DeviceFacts(
        name=name, kind="local", machine="Cortex-A76 (aarch64)", cores=4, os="Linux 6.6", threads=1, governor="performance"
    )


def run(target: str, recipe: str, split: Any, measurements: Any, parent: Any, ratios: Any, compared: Parity) -> ValidationFacts:
    return ValidationFacts(
        target=target,
        recipe=recipe,
        artifact="a1" * 32,
        split=split,
        measurements=measurements,
        parent=parent,
        ratios=ratios,
        parity=compared,
        sanity=Sanity(n=compared.n),
        device=device(target),
    )


def _config() -> ReleaseConfig:
    return ReleaseConfig.model_validate(
        {
            "name": "digits",
            "targets": [
                {"name": "phone", "runtime": "onnxruntime", "budget": {"latency_p95_ms": 0.5, "size_bytes": 200_000}},
                {"name": "board", "runtime": "litert", "budget": {"max_accuracy_drop": 0.01, "latency_p95_ms": 2.0}},
                {"name": "sensor", "runtime": "tflite_micro", "budget": {"peak_memory_bytes": 20_000}},
            ],
        }
    )


def _epoch(epoch: int) -> Epoch:
    wobble = 0.01 * ((epoch * 7) % 5 - 2)
    return Epoch(
        epoch=epoch,
        train_loss=2.1 * 0.72**epoch + 0.01,
        validation_loss=2.2 * 0.74**epoch + 0.06 + abs(wobble),
        validation_score=1 - 0.7 * 0.68**epoch - 0.018 - abs(wobble) / 4,
        learning_rate=3e-3,
    )


def _manifest(recipe: str, kind: str, size_bytes: int) -> ArtifactManifest:
    quantized = recipe.startswith("ptq")
    spec = TensorSpec(name="image", shape=(1, 8, 8, 1), dtype="int8", layout="NHWC", scale=0.003922, zero_point=-128)
    plain = TensorSpec(name="image", shape=(1, 1, 8, 8), dtype="float32", layout="NCHW")
    return ArtifactManifest(
        format=kind,
        file=f"model.{kind}",
        size_bytes=size_bytes,
        recipe=recipe,
        task="classification",
        inputs=(spec if quantized and kind == "tflite" else plain,),
        outputs=(TensorSpec(name="logits", shape=(1, 10), dtype="float32"),),
        quantization={recipe: {"calibration": "minmax", "samples": 180}},
        preprocessing=PREPROCESSING,
        labels=LABELS,
        toolchain={"onnxruntime": "1.24.1"} if kind == "onnx" else {"ai-edge-quantizer": "0.10.0"},
        parent="ca" * 32,
    )


def _confusion() -> ConfusionChange:
    baseline = [[45 if row == column else 0 for column in range(10)] for row in range(10)]
    baseline[8][1], baseline[8][8], baseline[3][5], baseline[3][3] = 3, 42, 2, 43
    artifact = [list(row) for row in baseline]
    artifact[8][1], artifact[8][8], artifact[9][4], artifact[9][9], artifact[3][5], artifact[3][3] = 5, 40, 1, 44, 1, 44
    return ConfusionChange(
        labels=LABELS, baseline=tuple(tuple(row) for row in baseline), artifact=tuple(tuple(row) for row in artifact)
    )


def _timed(p50: float, p95: float, p99: float, evidence: Evidence = "measured") -> dict[str, Measurement]:
    return {
        "latency_p50_ms": latency(p50, p50 * 0.98, p50 * 1.02, evidence),
        "latency_p95_ms": latency(p95, p95 * 0.95, p95 * 1.07, evidence),
        "latency_p99_ms": latency(p99, p99 * 0.91, p99 * 1.16, evidence),
    }


def said(rule: str, outcome: Outcome, reason: str, value: float | None = None, limit: float | None = None) -> Finding:
    return Finding(rule=rule, outcome=outcome, reason=reason, value=value, limit=limit)


def _costs(size_bytes: float, peak: Measurement, timed: dict[str, Measurement]) -> dict[str, Measurement]:
    return {"size_bytes": size(size_bytes), "peak_memory_bytes": peak, **timed}


def _phone() -> TargetFacts:
    parent = _costs(318_240, memory(4.1e6, 3.9e6, 4.3e6), _timed(0.612, 0.671, 0.742))
    costs = _costs(98_412, memory(2.2e6, 2.1e6, 2.4e6), _timed(0.301, 0.344, 0.402))
    ratios = {"size_bytes": ratio(0.309), "latency_p50_ms": ratio(0.492, 0.483, 0.501), "peak_memory_bytes": ratio(0.537)}
    lost = "On 270 validation samples top1 drops by 4.45 pp (93.70 % against 98.15 %); the budget allows 2.00 pp."
    kept = "On 449 test samples top1 changes by -0.44 points (bounds -1.62 to 0.71), within the 2.00 that the budget allows."
    held = "On 449 test samples top1 changes by -0.22 points against the champion (bounds -1.10 to 0.61), within 2.00."
    screened = (
        said("size", "pass", "98,412 bytes are within 200,000.", 98_412, 200_000),
        said("latency", "pass", "p95 is at most 0.365 ms (n = 300, measured), within 0.5 ms.", 0.365, 0.5),
        said("worth_it", "pass", "Smaller (×0.31) and faster (×0.49) than its float parent."),
    )
    saturated = said("parity", "fail", "2.1 % of the outputs are saturated: the calibration range is too narrow.", 0.021, 0.01)
    first = {"top1": score(0.9370, 270, 0.9014, 0.9603), **costs}
    second = {"top1": score(0.9778, 270, 0.9524, 0.9898), **costs}
    tested = {"top1": score(0.9822, 449, 0.9653, 0.9909)}
    clipped = parity(270, 0.9444, 4.0, saturation=0.021, worst_difference=1.93, relative_difference=0.078)
    rungs = (
        RungFacts(
            recipe="ptq_w8a8",
            status="refused",
            reasons=(lost,),
            artifact_digest="11" * 32,
            validation=run("phone", "ptq_w8a8", "validation", first, parent, ratios, clipped),
            manifest=_manifest("ptq_w8a8", "onnx", 98_412),
            screening=(said("accuracy", "fail", lost, 0.0445, 0.02), saturated, *screened),
        ),
        RungFacts(
            recipe="ptq_w8a8.entropy",
            status="passed",
            artifact_digest="12" * 32,
            validation=run("phone", "ptq_w8a8.entropy", "validation", second, parent, ratios, parity(270, 0.9926)),
            test=run("phone", "ptq_w8a8.entropy", "test", tested, {}, {}, parity(449, 0.9911)),
            alpha=0.05,
            manifest=_manifest("ptq_w8a8.entropy", "onnx", 98_412),
            confusion=_confusion(),
            screening=screened,
            gate=(said("accuracy", "pass", kept, 0.0044, 0.02), said("champion", "pass", held, 0.0022, 0.02)),
        ),
    )
    return TargetFacts(
        name="phone",
        runtime="onnxruntime",
        device="local",
        model="digits-phone",
        outcome="pass",
        passed_rung=1,
        test_looks=1,
        champion_before="c4" * 32,
        budget={"max_accuracy_drop": 0.02, "latency_p95_ms": 0.5, "size_bytes": 200_000},
        rungs=rungs,
    )


def _board() -> TargetFacts:
    parent = _costs(322_112, memory(3.3e6, 3.2e6, 3.5e6), _timed(1.31, 1.48, 1.71))
    # Too few runs for p99: it is absent, not guessed.
    timed = {name: taken for name, taken in _timed(0.72, 0.81, 0.93).items() if name != "latency_p99_ms"}
    validated = {"top1": score(0.9778, 270, 0.9524, 0.9898), **_costs(101_904, memory(1.9e6, 1.8e6, 2.0e6), timed)}
    tested = {"top1": score(0.9777, 449, 0.9594, 0.9878)}
    ratios = {"size_bytes": ratio(0.316), "latency_p50_ms": ratio(0.55, 0.541, 0.562), "peak_memory_bytes": ratio(0.576)}
    unsure = (
        "On 449 test samples top1 changes by -0.89 points (bounds -1.94 to 0.16), "
        "so a loss of 1.00 is neither shown nor ruled out; 1120 samples would decide it."
    )
    undecided = said("accuracy", "inconclusive", unsure, 0.0089, 0.01).model_copy(update={"samples_needed": 1120})
    rungs = (
        RungFacts(
            recipe="ptq_w8a8",
            status="inconclusive",
            reasons=(unsure,),
            artifact_digest="21" * 32,
            validation=run("board", "ptq_w8a8", "validation", validated, parent, ratios, parity(270, 0.9889)),
            test=run("board", "ptq_w8a8", "test", tested, {}, {}, parity(449, 0.9866)),
            alpha=0.025,
            confusion=_confusion(),
            manifest=_manifest("ptq_w8a8", "tflite", 101_904),
            screening=(said("latency", "pass", "p95 is at most 0.867 ms (n = 300, measured), within 2 ms.", 0.867, 2.0),),
            gate=(undecided,),
        ),
        RungFacts(
            recipe="fp16",
            status="failed",
            reasons=("The converter refused the model: operator aten.unfold has no LiteRT form.",),
        ),
    )
    return TargetFacts(
        name="board",
        runtime="litert",
        device="local",
        model="digits-board",
        outcome="inconclusive",
        passed_rung=None,
        test_looks=1,
        budget={"max_accuracy_drop": 0.01, "latency_p95_ms": 2.0},
        rungs=rungs,
    )


def _sensor() -> TargetFacts:
    costs = _costs(101_904, memory(34_832, evidence="emulated"), _timed(2.9, 3.1, 3.6, "emulated"))
    parent = {"size_bytes": size(322_112), "peak_memory_bytes": memory(129_440, evidence="emulated")}
    ratios = {"size_bytes": ratio(0.316), "peak_memory_bytes": ratio(0.269, evidence="emulated")}
    taken = {"top1": score(0.9741, 270, 0.9474, 0.9874, "emulated"), **costs}
    broke = "The arena takes 34,832 bytes (exact, emulated); the budget allows 20,000."
    kept = "On 270 validation samples top1 drops by 0.74 pp; the budget allows 2.00 pp."
    rungs = (
        RungFacts(
            recipe="ptq_w8a8",
            status="refused",
            reasons=(broke,),
            artifact_digest="31" * 32,
            validation=run("sensor", "ptq_w8a8", "validation", taken, parent, ratios, parity(270, 0.9852)),
            manifest=_manifest("ptq_w8a8", "tflite", 101_904),
            screening=(said("memory", "fail", broke, 34_832, 20_000), said("accuracy", "pass", kept, 0.0074, 0.02)),
        ),
        RungFacts(recipe="fp16", status="skipped", reasons=("tflite_micro cannot execute fp16; it can: ptq_w8a8",)),
    )
    return TargetFacts(
        name="sensor",
        runtime="tflite_micro",
        device="local",
        model="digits-sensor",
        outcome="fail",
        passed_rung=None,
        test_looks=0,
        budget={"max_accuracy_drop": 0.02, "peak_memory_bytes": 20_000},
        rungs=rungs,
    )
