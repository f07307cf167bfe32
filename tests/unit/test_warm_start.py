# SPDX-License-Identifier: Apache-2.0
"""Which baseline a warm start begins from, and which it refuses."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edgewright.artifact import Candidate, CandidateFacts
from edgewright.config import ReleaseConfig
from edgewright.config.model import ModelSpec
from edgewright.config.retrain import RetrainConfig
from edgewright.errors import ConfigError, ModelError, StoreError
from edgewright.promotion.chain import Chain, Link
from edgewright.promotion.entry import Entry, VerdictRef, Who
from edgewright.retraining import Retraining
from edgewright.warm_start import parent_of, release_to_start_from, started_from

RELEASE = {"name": "table", "model": {"architecture": "mlp"}, "targets": [{"name": "phone", "runtime": "null"}]}


def history(model: str, *runs: tuple[int, str]) -> Chain:
    """A history of champions, each promoted on a day of November from a run."""
    entries = [
        Entry(
            model=model, sequence=1, previous="", when=datetime(2026, 11, day, tzinfo=UTC),
            who=Who(name="me", key_id="k", public_key={}), what="promote", version="1", digest="a" * 64,
            verdict=VerdictRef(run_id=run, release="f" * 64, outcome="pass"), why="",
        )
        for day, run in runs
    ]  # fmt: skip
    return Chain(model, valid=[Link(1, entry, "") for entry in entries], champions=entries)


def begun(parent: str) -> Retraining:
    return Retraining(release="table", data="d", began=datetime.now(UTC), check="c", parent=parent)


def test_where_targets_have_champions_of_several_releases_the_newest_is_taken() -> None:
    phone, board = history("table-phone", (1, "first"), (3, "third")), history("table-board", (2, "second"))
    assert release_to_start_from([board, phone, Chain("table-new")], None).run_id == "third"
    assert release_to_start_from([board, phone], begun("")).run_id == "third"


def test_one_that_was_cut_short_keeps_the_release_it_began_from() -> None:
    histories = [history("table-phone", (1, "first"), (3, "third"))]
    assert release_to_start_from(histories, begun("first")).run_id == "first"
    with pytest.raises(StoreError, match="began from run planted, which was never promoted"):
        release_to_start_from(histories, begun("planted"))


def test_without_a_champion_there_is_nothing_to_start_from() -> None:
    with pytest.raises(StoreError, match="no champion of table-phone") as refused:
        release_to_start_from([Chain("table-phone")], None)
    assert "start: scratch" in refused.value.to_do


def baseline(folder: Path, file: str = "weights.safetensors", **model: Any) -> Candidate:
    folder.mkdir()
    (folder / file).write_bytes(b"weights")
    spec = ModelSpec.model_validate({"architecture": "mlp", **model})
    facts = CandidateFacts(framework=spec.framework, model=spec, input_shape=(3,), outputs=3, parameters=12)
    return Candidate.seal(folder, facts)


def test_the_release_starts_from_the_baseline_which_is_its_parent(tmp_path: Path) -> None:
    kept = baseline(tmp_path / "kept")
    spec = started_from(kept, ReleaseConfig.model_validate(RELEASE)).model
    assert (spec.weights_file, parent_of(spec)) == (tmp_path / "kept" / "weights.safetensors", kept.digest)
    assert parent_of(ModelSpec(weights=str(spec.weights_file))) is None
    (tmp_path / "kept" / "weights.safetensors").write_bytes(b"others")
    with pytest.raises(StoreError, match="was changed"):
        parent_of(spec)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ({"architecture": "resnet8"}, "baseline of pytorch resnet8, and the release trains pytorch mlp"),
        ({"framework": "keras"}, "baseline of keras mlp"),
        ({"file": "weights.bin"}, "has no weights.safetensors to load"),
    ],
)
def test_a_baseline_that_does_not_fit_is_refused(kept: dict[str, Any], said: str, tmp_path: Path) -> None:
    file = kept.pop("file", "weights.safetensors")
    with pytest.raises(ModelError, match=said) as refused:
        started_from(baseline(tmp_path / "kept", file, **kept), ReleaseConfig.model_validate(RELEASE))
    assert "start: scratch" in refused.value.to_do


def test_a_warm_start_needs_a_training() -> None:
    release = {**RELEASE, "model": {"file": "model.onnx"}}
    drift, new = {"reports": "r", "references": ["x"]}, {"name": "may", "source": "m.npz"}
    config = {"drift": drift, "release": release, "new_data": new}
    assert RetrainConfig.model_validate(config).released.model.file == "model.onnx"
    with pytest.raises(ConfigError, match="a warm start needs a training"):
        _ = RetrainConfig.model_validate({**config, "start": "warm"}).released
