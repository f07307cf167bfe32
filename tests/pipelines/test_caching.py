# SPDX-License-Identifier: Apache-2.0
"""A second run does nothing, a new target costs one target, a changed helper invalidates exactly the steps that reach it."""

import shutil
from pathlib import Path

import pytest
from release_project import Project

from edgewright.config import Target
from edgewright.pipelines.context import Toolkit

ROOT = Path(__file__).parents[2]


def test_an_identical_run_executes_nothing_and_says_the_same(released: Project) -> None:
    page, facts = ((released.out / name).read_bytes() for name in ("report.html", "release.json"))
    second = released.edgewright("run", "release.yaml")
    assert second.code == 0, second.output
    assert set(released.executed().values()) == {"cached"}
    assert (page, facts) == tuple((released.out / name).read_bytes() for name in ("report.html", "release.json"))


def test_one_more_target_costs_one_more_target(released: Project) -> None:
    target = released.config["targets"][0]
    released.write(targets=[target, {**target, "name": "b"}])
    assert released.edgewright("run", "release.yaml").code == 0
    # the compressed file is the same for both; what is new is measured for the new target, judged with the old one, reported
    of_b = {"validate_b_ptq_w8a8", "screen_b_ptq_w8a8", "test_b_ptq_w8a8"}
    assert released.ran() == of_b | {"judge_look_1", "report_release", "promote_release"}


def test_a_new_budget_measures_nothing_again(released: Project) -> None:
    target = {**released.config["targets"][0], "budget": {"max_accuracy_drop": 0.06}}
    released.write(targets=[target])
    assert released.edgewright("run", "release.yaml").code == 0
    assert released.ran() == {"screen_a_ptq_w8a8", "judge_look_1", "report_release", "promote_release"}


def test_a_changed_helper_invalidates_exactly_the_steps_that_reach_it(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On a copy of the package, so that the checkout is left alone."""
    package = tmp_path_factory.mktemp("copy") / "edgewright"
    shutil.copytree(ROOT / "edgewright", package)
    for folder in ("steps", "pipelines", "integrations", "stacks"):
        shutil.copytree(ROOT / folder, package / folder)

    def run() -> set[str]:
        ended = project.edgewright("run", "release.yaml", package_in=package.parent)
        assert ended.code == 0, ended.output
        return project.ran()

    run()
    with (package / "gate" / "worth_it.py").open("a", encoding="utf-8") as helper:
        helper.write("\n# a change\n")
    assert run() == {"screen_a_ptq_w8a8", "report_release", "promote_release"}


def test_what_quantizes_in_its_own_way_shares_the_float_file_alone() -> None:
    """TensorRT wants ONNX Runtime's float files quantized without zero points; TFLite Micro runs LiteRT's as they are."""
    tensorrt, onnxruntime, tflite_micro, litert = (
        Toolkit.of(Target(name="a", runtime=runtime)) for runtime in ("tensorrt", "onnxruntime", "tflite_micro", "litert")
    )
    assert (tensorrt.exporter, tensorrt.exporter_digest) == (onnxruntime.exporter, onnxruntime.exporter_digest)
    assert (tensorrt.converter, onnxruntime.converter) == ("tensorrt", "onnxruntime")
    assert onnxruntime.converter_digest in tensorrt.converter_digest
    assert (tflite_micro.converter, tflite_micro.converter_digest) == (litert.converter, litert.converter_digest)
