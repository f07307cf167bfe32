# SPDX-License-Identifier: Apache-2.0
"""Targets climb: a refused rung is left with its reason, the next is tried; a failing target never stops the others."""

import json
from pathlib import Path
from typing import Any

from release_project import AFFINE, Project

STRICT = {"parity": {"max_relative_difference": 0.002}}  # int8 differs by more than that, float16 by less


def _targets(project: Project) -> dict[str, Any]:
    facts = json.loads((project.out / "release.json").read_text())
    return {target["name"]: target for target in facts["targets"]}


def test_the_first_rung_is_refused_and_the_second_passes(tmp_path: Path) -> None:
    """Real files in ONNX Runtime, measured on this machine."""
    budget = {"max_accuracy_drop": 0.05, "latency_p95_ms": 100, "peak_memory_bytes": 500_000_000}
    board = {"name": "board", "runtime": "onnxruntime", "budget": budget}
    project = Project(
        tmp_path, {**AFFINE, "gate": STRICT, "targets": [board], "measuring": {"invocations": 30, "processes": 2}}
    )
    project.with_stores().write()
    ended = project.edgewright("run", "release.yaml")
    assert ended.code == 0, ended.output
    first, second = _targets(project)["board"]["rungs"]
    assert (first["recipe"], first["status"]) == ("ptq_w8a8", "refused")
    assert any("float outputs' range" in reason for reason in first["reasons"]), first["reasons"]
    assert first["test"] is None  # what is refused on validation data never sees the test data
    assert (second["recipe"], second["status"]) == ("fp16", "passed")
    assert first["reasons"][0][:40] in (project.out / "report.html").read_text()


def test_a_failing_target_does_not_stop_the_others(project: Project) -> None:
    target = project.config["targets"][0]
    project.write(targets=[{**target, "name": "too_small", "budget": {"size_bytes": 100}}, target])
    ended = project.edgewright("run", "release.yaml")
    assert ended.code == 1
    assert "1 of 2 targets not promoted: too_small" in ended.output
    targets = _targets(project)
    assert (targets["too_small"]["outcome"], targets["a"]["outcome"]) == ("fail", "pass")
    assert [rung["status"] for rung in targets["too_small"]["rungs"]] == ["refused", "refused"]
    assert (project.out / "artifacts" / "a").is_dir()
    assert not (project.out / "artifacts" / "too_small").exists()


def test_a_look_that_cannot_decide_says_how_many_samples_would(project: Project) -> None:
    target = {**project.config["targets"][0], "budget": {"max_accuracy_drop": 0.001}}
    project.write(targets=[target])
    ended = project.edgewright("run", "release.yaml")
    assert ended.code == 1
    rung = _targets(project)["a"]["rungs"][0]
    assert rung["status"] == "inconclusive"
    accuracy = next(finding for finding in rung["gate"] if finding["rule"] == "accuracy")
    assert accuracy["samples_needed"] > 449
    assert str(accuracy["samples_needed"]) in accuracy["reason"].replace(",", "")


def test_a_rung_the_runtime_cannot_execute_is_skipped_with_its_reason(tmp_path: Path) -> None:
    target = {**AFFINE["targets"][0], "runtime": "int8_only:Int8Only"}
    (tmp_path / "int8_only.py").write_text(
        "from edgewright.config.file_passes import PtqW8A8\n"
        "from edgewright.integrations.runtimes.null import NullRuntime\n"
        "class Int8Only(NullRuntime):\n"
        "    name = 'int8_only'\n"
        "    @property\n"
        "    def passes(self):\n"
        "        return {PtqW8A8: super().passes[PtqW8A8]}\n"
    )
    project = Project(tmp_path, {**AFFINE, "ladder": ["fp16", "ptq_w8a8"], "targets": [target]})
    project.with_stores().write()
    ended = project.edgewright("run", "release.yaml")
    assert ended.code == 0, ended.output
    skipped, passed = _targets(project)["a"]["rungs"]
    assert (skipped["status"], passed["status"]) == ("skipped", "passed")
    assert skipped["reasons"] == ["int8_only cannot execute fp16; it can: ptq_w8a8"]


def test_a_model_that_cannot_be_exported_fails_every_rung_for_the_same_reason(tmp_path: Path) -> None:
    """The null runtime exports affine models only; this one has a hidden layer."""
    target = AFFINE["targets"][0]
    project = Project(tmp_path, {**AFFINE, "model": {**AFFINE["model"], "options": {"hidden": [8]}}, "targets": [target]})
    project.with_stores().write()
    ended = project.edgewright("run", "release.yaml")
    assert ended.code == 1, ended.output
    first, second = _targets(project)["a"]["rungs"]
    assert (first["status"], second["status"]) == ("failed", "failed")
    assert "affine" in first["reasons"][0]
    assert first["reasons"] == second["reasons"]
