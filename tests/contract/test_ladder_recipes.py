# SPDX-License-Identifier: Apache-2.0
"""The last rung of every ready ladder is made for real, with one epoch: model passes, export, file pass."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edgewright.artifact import Candidate
from edgewright.config import ModelSpec, ReleaseConfig
from edgewright.config.load import load_config
from edgewright.config.recipe import Rung
from edgewright.data.dataset import Dataset
from edgewright.data.load import load_dataset
from edgewright.export import apply_pass, export_model
from edgewright.framework import ModelPassRequest
from edgewright.ladder import needs_target
from edgewright.plugins import create

LADDERS = sorted((Path(__file__).parents[2] / "recipes" / "ladders").glob("*.yaml"))
SEED, METRIC = 0, "top1"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    release = load_config(LADDERS[0])
    return load_dataset(release.data, release.task, SEED, tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def baselines(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[[ModelSpec], Candidate]:
    made: dict[str, Candidate] = {}

    def baseline_of(spec: ModelSpec) -> Candidate:
        assert spec.training is not None
        short = spec.model_copy(update={"training": spec.training.model_copy(update={"epochs": 1})})
        key = short.model_dump_json()
        if key not in made:
            out = tmp_path_factory.mktemp("baseline")
            facts = create("frameworks", "pytorch").train(short, data, SEED, METRIC, out, out / "checkpoints")
            made[key] = Candidate.seal(out, facts)
        return made[key]

    return baseline_of


def last_rung(release: ReleaseConfig) -> Rung:
    ladder = release.ladder_of(release.targets[0])
    return Rung.of("ptq_w8a8") if ladder == "auto" else ladder[-1]


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("file", LADDERS, ids=lambda file: file.stem)
def test_the_last_rung_of_a_ready_ladder_can_be_made(
    file: Path, data: Dataset, baselines: Callable[[ModelSpec], Candidate], tmp_path: Path
) -> None:
    release = load_config(file)
    baseline = baselines(release.model)
    target, rung, candidate = release.targets[0], last_rung(release), baseline
    for number, step in enumerate(rung.model_passes):
        out = tmp_path / f"{number}"
        out.mkdir()
        short = step.model_copy(update={"epochs": 1})
        if needs_target(step):  # a minute of measuring, which test_pruning.py does once, in small
            short = short.model_copy(update={"of": "macs"})
        request = ModelPassRequest(candidate, baseline, data, short, METRIC, SEED, out, out / "checkpoints")
        candidate = Candidate.seal(out, create("frameworks", "pytorch").passes[type(step)](request))
    artifact = export_model(candidate, data, target.runtime, {}, tmp_path / "exported")
    if rung.file_passes:
        artifact = apply_pass(artifact, data, target.runtime, rung, tmp_path / "converted")
    names = [step.name for step in candidate.facts.passes] + [step.name for step in rung.file_passes]
    assert len(names) == len(rung.passes)
    assert artifact.facts.size_bytes == artifact.main_file.stat().st_size
