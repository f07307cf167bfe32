# SPDX-License-Identifier: Apache-2.0
"""Loading: both forms of the file, paths, the starter, the reference page, and explaining errors without a file."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from edgewright.config import Budget, ReleaseConfig
from edgewright.config.data import DataSpec
from edgewright.config.load import explain, load_config
from edgewright.config.reference import render
from edgewright.config.retrain import load_retrain_config
from edgewright.errors import ConfigError

ROOT = Path(__file__).parents[2]
STARTER = (ROOT / "edgewright" / "config" / "starter.yaml").read_text(encoding="utf-8")
TARGETS = "targets: [{name: phone, runtime: onnxruntime}]\n"


def load(folder: Path, text: str) -> ReleaseConfig:
    (folder / "release.yaml").write_text(text, encoding="utf-8")
    return load_config(folder / "release.yaml")


def test_a_schedule_is_refused_by_a_command_that_runs_once(tmp_path: Path) -> None:
    text = "schedule: {cron_expression: '0 4 * * *'}\nparameters:\n  config:\n    "
    with pytest.raises(ConfigError, match="asks for a schedule, and this command runs once") as refused:
        load(tmp_path, text + TARGETS)
    assert (refused.value.where, "retrain-on-drift.md" in refused.value.to_do) == ("release.yaml:1  schedule", True)
    (tmp_path / "retrain.yaml").write_text(text + "release: release.yaml\n")
    with pytest.raises(ConfigError, match="asks for a schedule"):
        load_retrain_config(tmp_path / "retrain.yaml")


def test_the_bare_form_and_the_form_of_zenml_are_the_same(tmp_path: Path) -> None:
    bare = load(tmp_path, TARGETS + "seed: 3\n")
    zenml = load(
        tmp_path,
        "enable_cache: true\nmodel: {name: a ZenML model}\nparameters:\n  config:\n    seed: 3\n    " + TARGETS,
    )
    assert bare == zenml


def test_relative_paths_are_taken_from_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    config = load(
        tmp_path,
        TARGETS
        + "data: {source: d/train.csv, splits: {test: /abs/test.csv, train: d/train.csv}, checks: {suite: suite.json}, "
        + "added: [{name: may, source: d/may.csv}]}\n"
        + "model: {weights: w.pt}\ntracking: {uri: 'sqlite:///runs.db'}\noutput: out\n"
        + "signing: {key: 'file:keys/a.pem', public_key: keys/a.pub}\n",
    )
    assert config.data.source == str(tmp_path / "d/train.csv")
    assert config.data.splits.train == str(tmp_path / "d/train.csv")
    assert config.data.splits.test == "/abs/test.csv"
    assert config.data.splits.validation == 0.15
    assert config.data.checks.suite == str(tmp_path / "suite.json")
    assert config.data.added[0].source == str(tmp_path / "d/may.csv")
    assert config.model.weights == str(tmp_path / "w.pt")
    assert config.tracking.uri == f"sqlite:///{tmp_path}/runs.db"
    assert config.signing.key == f"file:{tmp_path}/keys/a.pem"
    assert config.signing.public_key == f"{tmp_path}/keys/a.pub"
    assert config.output_folder == tmp_path / "out" / "release"


@pytest.mark.parametrize("source", ["digits", "my_data:load", "package.module:load"])
def test_names_are_not_taken_for_paths(tmp_path: Path, source: str) -> None:
    assert load(tmp_path, TARGETS + f"data: {{source: '{source}'}}\n").data.source == source


def test_a_server_is_not_taken_for_a_path(tmp_path: Path) -> None:
    assert load(tmp_path, TARGETS + "tracking: {uri: 'http://tracker:5000'}\n").tracking.uri == "http://tracker:5000"
    assert load(tmp_path, TARGETS + "signing: {key: 'env:RELEASE_KEY'}\n").signing.key == "env:RELEASE_KEY"


@pytest.mark.parametrize("uri", ["postgresql://me:hunter2@db/mlflow", "postgresql://db/mlflow?user=me&password=hunter2"])
def test_a_password_does_not_stand_in_the_file_and_is_not_repeated(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ConfigError, match="it holds a password") as refused:
        load(tmp_path, TARGETS + f"tracking: {{uri: '{uri}'}}\n")
    assert "hunter2" not in str(refused.value)


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "targets:\n  - &first {name: a, runtime: litert, budget: {size_bytes: 9}}\n  - {<<: *first, name: b}\n",
    )
    assert [(target.name, target.budget.size_bytes) for target in config.targets] == [("a", 9), ("b", 9)]


def test_aliases_that_stand_for_more_than_a_file_can_say_are_refused(tmp_path: Path) -> None:
    bomb = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
    for text in ("loop: &again\n  - *again\n", "a0: &a0 [x]\n" + bomb):
        with pytest.raises(ConfigError, match="too large"):
            load(tmp_path, TARGETS + text)


def _keys(model: type[BaseModel], found: set[type[BaseModel]]) -> set[str]:
    """Names of all keys below a configuration type."""
    found.add(model)
    names = set(model.model_fields)
    for info in model.model_fields.values():
        for inner in re.findall(r"edgewright\.config\.\w+\.(\w+)", str(info.annotation)):
            for kind in [kind for kind in _all_configs() if kind.__name__ == inner and kind not in found]:
                names |= _keys(kind, found)
    return names


def _all_configs() -> list[type[BaseModel]]:
    import edgewright.config as config

    kinds = [getattr(config, name) for name in config.__all__]
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]


def test_the_starter_shows_every_key_but_those_of_passes() -> None:
    shown = set(re.findall(r"[{\s]#?\s*(\w+):", STARTER))
    wanted = _keys(ReleaseConfig, set())
    assert len(wanted) > 60
    assert wanted - shown == set()


def test_the_starter_loads(tmp_path: Path) -> None:
    config = load(tmp_path, STARTER)
    assert [target.runtime for target in config.targets] == ["onnxruntime"]
    assert config.ladder == "auto"


def test_every_example_that_is_commented_out_in_the_starter_is_valid(tmp_path: Path) -> None:
    text = re.sub(r"^( +)# (\w+:)", r"\1\2", STARTER, flags=re.MULTILINE)
    config = load(tmp_path, text)
    assert config.metric == "top1"
    assert config.data.image_size == (96, 96)
    assert config.targets[0].objective == "smallest"
    assert config.tracking.uri == "http://mlflow.example:5000"


def test_the_reference_page_is_current() -> None:
    page = (ROOT / "docs" / "reference" / "config.md").read_text(encoding="utf-8")
    assert page == render(), "python -m edgewright.config.reference > docs/reference/config.md"


def test_an_error_is_explained_without_a_file() -> None:
    with pytest.raises(ValidationError) as caught:
        ReleaseConfig.model_validate({"targets": [{"name": "a", "runtime": "litert", "budgt": {}}], "seed": "x"})
    assert explain(caught.value, "parameters.config").splitlines() == [
        "parameters.config  seed: got 'x'; must be a whole number",
        "parameters.config  targets.0.budgt: unknown key; did you mean 'budget'?",
    ]


def test_an_error_of_another_type_names_its_own_keys() -> None:
    with pytest.raises(ValidationError) as caught:
        Budget.model_validate({"size_byte": 1})
    assert explain(caught.value, "--budget", root=Budget) == "--budget  size_byte: unknown key; did you mean 'size_bytes'?"


def test_fractions_left_out_stay_left_out_when_a_configuration_is_stored_and_read_back() -> None:
    spec = DataSpec.model_validate({"splits": {"train": 0.7, "calibration": 0.1, "validation": 0.2}})
    assert DataSpec.model_validate(spec.model_dump()) == spec
    assert DataSpec.model_validate_json(spec.model_dump_json()) == spec
