# SPDX-License-Identifier: Apache-2.0
"""Ethos-U: what Vela compiles, what it estimates, and that no estimate keeps a limit."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from tflite_artifacts import Net

from edgewright.artifact import Artifact
from edgewright.config import Budget, GateConfig, Measuring, Target
from edgewright.config.load import load_config
from edgewright.config.model import ModelSpec, Training
from edgewright.data.dataset import Dataset
from edgewright.errors import ConfigError, ExportError
from edgewright.gate.screen import screen
from edgewright.integrations.runtimes.ethos_u import EthosU
from edgewright.integrations.runtimes.ethos_u.vela import compile_file
from edgewright.package import package_artifact
from edgewright.preflight import preflight
from edgewright.testing import RuntimeContract
from edgewright.validate import validate_artifact

Files = tuple[Artifact, Artifact]


class TestEthosU(RuntimeContract):
    runtime = EthosU
    model = ModelSpec(architecture="mlp", training=Training(epochs=4, batch_size=16))
    sample = (24,)


@pytest.fixture(scope="module")
def compiled(network_files: Files, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return package_artifact(network_files[1], "ethos_u", {}, tmp_path_factory.mktemp("compiled"))


def test_the_artifact_carries_the_compiled_file_and_the_one_it_was_made_from(compiled: Artifact, network_files: Files) -> None:
    package = compiled.facts.package
    assert package is not None
    assert package.stored == "model_vela.tflite"
    assert b"ethos-u" in (compiled.path / package.stored).read_bytes()
    assert compiled.main_file.read_bytes() == network_files[1].main_file.read_bytes()
    assert compiled.facts.size_bytes == (compiled.path / package.stored).stat().st_size
    assert compiled.facts.toolchain["ethos-u-vela"]
    assert Artifact.open(compiled.path).digest == compiled.digest


def test_all_that_vela_tells_is_an_estimate(compiled: Artifact) -> None:
    assert compiled.facts.package is not None
    estimates = compiled.facts.package.estimates
    assert set(estimates) == {"latency_ms", "npu_cycles", "peak_memory_bytes", "flash_bytes"}
    for one in estimates.values():
        assert one.evidence == "estimated"
        assert one.value > 0
        assert "ethos-u55-128, Ethos_U55_High_End_Embedded, Shared_Sram" in one.method
    assert estimates["latency_ms"].value == pytest.approx(estimates["npu_cycles"].value / 500e6 * 1e3)  # at 500 MHz


def test_an_operator_left_to_the_processor_is_named_with_layer_and_reason(compiled: Artifact) -> None:
    assert compiled.facts.package is not None
    (note,) = compiled.facts.package.notes
    assert "7 of 8 operators run on the NPU" in note
    assert "MEAN (after second): Unsupported depth-reduction" in note
    assert "without what is left to the processor" in compiled.facts.package.estimates["latency_ms"].method


def test_a_float_file_is_refused_though_vela_ends_well(network_files: Files, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"leaves every operator to the processor: CONV_2D \(first\)") as refusal:
        package_artifact(network_files[0], "ethos_u", {}, tmp_path)
    assert "ptq_w8a8" in refusal.value.to_do


@pytest.mark.parametrize("accelerator", ["ethos-u55-32", "ethos-u65-512", "ethos-u85-256"])
def test_the_accelerator_is_the_one_that_was_asked_for(accelerator: str, network_files: Files, tmp_path: Path) -> None:
    options = EthosU.Options.model_validate({"accelerator": accelerator})
    copy = tmp_path / "model.tflite"
    copy.write_bytes(network_files[1].main_file.read_bytes())
    found = compile_file(copy, options.accelerator, options.system, options.memory)
    assert found.summary["accelerator_configuration"].replace("_", "-").lower() == accelerator
    assert found.on_npu > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"accelerator": "ethos-u55-128", "system_config": "Ethos_U65_High_End"}, "not one of ethos-u55-128"),
        ({"accelerator": "ethos-u55-128", "memory_mode": "Dedicated_Sram"}, "has none: take Shared_Sram"),
        ({"accelerator": "ethos-u85-256", "system_config": "Ethos_U85_SYS_Flash_Low", "memory_mode": "Dedicated_Sram"}, "DRAM"),
        ({"accelerator": "ethos-u99"}, "ethos-u55-32"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused_before_the_run(options: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        EthosU.Options.model_validate(options)


def test_options_are_the_runtimes_own_though_another_writes_its_files() -> None:
    config = load_config(Path(__file__).parents[2] / "recipes" / "ethos-u.yaml")
    wrong = config.targets[0].model_copy(update={"options": {"accelerator": "ethos-u55-128", "memory_mode": "Dedicated_Sram"}})
    with pytest.raises(ConfigError, match="take Shared_Sram"):
        preflight(config.model_copy(update={"targets": (wrong,)}))


def test_a_crash_of_vela_is_an_error_in_words(network_files: Files, tmp_path: Path) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(network_files[1].main_file.read_bytes()[:3000])
    with pytest.raises(ExportError, match=r"Vela (crashed|refused)"):
        compile_file(cut, "ethos-u55-128", "Ethos_U55_High_End_Embedded", "Shared_Sram")


def test_outputs_are_compared_here_and_an_estimate_keeps_no_limit(
    compiled: Artifact, network_files: Files, network_data: Dataset, tmp_path: Path
) -> None:
    with torch.no_grad():
        outputs = Net().eval()(torch.from_numpy(network_data.inputs("validation", "NCHW"))).numpy()
    budget = Budget(max_accuracy_drop=1, latency_p95_ms=1e6, peak_memory_bytes=10**9)
    target = Target(name="npu", runtime="ethos_u", budget=budget)
    run = validate_artifact(
        compiled, network_files[0], network_data, "validation", outputs, target, "top1", Measuring(), seed=0, out=tmp_path
    ).facts

    assert run.parity.worst_difference_lsb is not None
    assert run.measurements["top1"].evidence == "emulated"
    assert run.measurements["latency_ms"].evidence == "estimated"
    assert not {"latency_p50_ms", "latency_p95_ms"} & {*run.measurements, *run.parent}
    answers = {finding.rule: finding for finding in screen(target, run, 0.0, GateConfig()).findings}
    for rule in ("latency", "memory"):
        assert answers[rule].outcome == "inconclusive"
        assert "only estimated" in answers[rule].reason
    assert answers["worth_it"].outcome == "pass"
