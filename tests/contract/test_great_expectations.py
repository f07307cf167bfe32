# SPDX-License-Identifier: Apache-2.0
"""Great Expectations holds data against its rules, and a broken rule names the rows that break it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from release_project import copy_zenml_store

from edgewright import plugins
from edgewright.config.data import DataChecks, DataSpec, Splits
from edgewright.data.checks import require
from edgewright.data.dataset import Dataset
from edgewright.data.load import load_dataset
from edgewright.errors import DataError
from edgewright.report.facts import CheckResult

FLAVOR = "edgewright.integrations.services.great_expectations.flavor.EdgewrightDataValidatorFlavor"
Change = Callable[[np.ndarray, np.ndarray], None]


def table(out: Path, change: Change | None = None, task: str = "classification", columns: str = "abc") -> Dataset:
    rng = np.random.default_rng(0)
    x, y = rng.random((80, len(columns))).astype(np.float32), np.arange(80) % 2
    if change:
        change(x, y)
    out.mkdir(exist_ok=True)
    lines = [",".join([*columns, "label"]), *(",".join(map(str, [*row, label])) for row, label in zip(x, y, strict=True))]
    (out / "all.csv").write_text("\n".join(lines))
    return load_dataset(DataSpec(source=str(out / "all.csv")), task, 0, out / "dataset")  # type: ignore[arg-type]


def pictures(out: Path, change: Change | None = None) -> Dataset:
    x, y = np.random.default_rng(0).random((80, 4, 4)).astype(np.float32), np.arange(80) % 2
    if change:
        change(x, y)
    np.savez(out / "all.npz", x=x, y=y)
    return load_dataset(DataSpec(source=str(out / "all.npz")), "classification", 0, out / "dataset")


def check(data: Dataset, **checks: object) -> dict[str, CheckResult]:
    service = plugins.create("services", "great_expectations")
    return {result.rule: result for result in service.check(data, DataChecks(**checks))}  # type: ignore[arg-type]


def broken(results: dict[str, CheckResult]) -> dict[str, str]:
    return {rule: result.detail for rule, result in results.items() if not result.passed}


def set_first(value: float) -> Change:
    def change(x: np.ndarray, y: np.ndarray) -> None:
        x[16].flat[0] = value

    return change


def same_sample(x: np.ndarray, y: np.ndarray) -> None:
    x[1:] = x[0]


def test_sound_data_keeps_every_rule(tmp_path: Path) -> None:
    results = check(load_dataset(DataSpec(), "classification", 0, tmp_path / "digits"), value_range=(0, 16))
    assert broken(results) == {}
    assert list(results) == ["shape", "dtype", "missing", "range", "labels", "constant_labels", "class_balance", "duplicates"]
    assert results["range"].detail == "every value lies in [0, 16]"
    require(results.values())


@pytest.mark.parametrize("made", [table, pictures])
def test_a_missing_value_is_named_and_may_be_allowed(tmp_path: Path, made: Callable[..., Dataset]) -> None:
    data = made(tmp_path, set_first(np.nan))
    assert "row 17 (" in broken(check(data))["missing"]
    assert set(broken(check(data))) == {"missing"}
    assert broken(check(data, max_missing=0.1)) == {}


@pytest.mark.parametrize("made", [table, pictures])
def test_a_value_out_of_range_is_named(tmp_path: Path, made: Callable[..., Dataset]) -> None:
    found = broken(check(made(tmp_path, set_first(7.5)), value_range=(0, 1)))
    assert list(found) == ["range"]
    assert "[0, 1]" in found["range"]
    assert "1 of 80 rows: row 17 (" in found["range"]
    assert "holds 7.5" in found["range"]


@pytest.mark.parametrize("made", [table, pictures])
def test_an_infinite_value_is_out_of_any_range(tmp_path: Path, made: Callable[..., Dataset]) -> None:
    found = broken(check(made(tmp_path, set_first(np.inf))))
    assert list(found) == ["range"]
    assert "row 17 (" in found["range"]


def test_at_most_ten_rows_are_named_then_a_count(tmp_path: Path) -> None:
    def change(x: np.ndarray, y: np.ndarray) -> None:
        x[:40, :2] = 9

    detail = broken(check(table(tmp_path, change), value_range=(0, 1)))["range"]
    assert detail.count("row ") == 10
    assert "column 'a': 40 of 80 rows" in detail
    assert "and 30 more" in detail
    assert "and 1 more columns" in detail


def test_samples_in_two_splits_are_named_in_pairs_and_may_be_allowed(tmp_path: Path) -> None:
    data = table(tmp_path, same_sample)
    detail = broken(check(data))["duplicates"]
    assert detail.startswith("1 samples stand in more than one split: ")
    assert all(f"({split})" in detail for split in ("train", "calibration", "validation", "test"))
    assert detail.count("row ") == 4
    assert "(allowed)" in check(data, allow_duplicates_across_splits=True)["duplicates"].detail
    assert broken(check(data, allow_duplicates_across_splits=True)) == {}


def test_the_same_picture_twice_in_train_is_no_leak(tmp_path: Path) -> None:
    rows = [int(origin.removeprefix("row ")) - 1 for origin in pictures(tmp_path).origin("train")]

    def change(x: np.ndarray, y: np.ndarray) -> None:
        x[rows[0]] = x[rows[1]]

    (tmp_path / "again").mkdir()
    assert broken(check(pictures(tmp_path / "again", change))) == {}


def test_a_class_without_its_share_is_named(tmp_path: Path) -> None:
    found = broken(check(table(tmp_path), min_class_share=0.6, max_class_share=1.0))
    assert "train: class '0' has 50.00% (20 of 40)" in found["class_balance"]
    assert "class '1'" in broken(check(table(tmp_path / "b"), max_class_share=0.4))["class_balance"]


def test_a_split_with_one_label_only_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=np.random.default_rng(1).random((9, 3)), y=np.zeros(9, int))
    np.savez(tmp_path / "all.npz", x=np.random.default_rng(0).random((80, 3)), y=np.arange(80) % 2)
    spec = DataSpec(source=str(tmp_path / "all.npz"), splits=Splits(test=str(tmp_path / "own.npz")))
    found = broken(check(load_dataset(spec, "classification", 0, tmp_path / "dataset")))
    assert found["constant_labels"] == "test: label is always 0"
    assert "test: class '1' has 0.00% (0 of 9)" in found["class_balance"]


def rewritten(data: Dataset, split: str, what: str, array: np.ndarray) -> Dataset:
    """A dataset that another program wrote: sealed, and not what its card says."""
    np.save(data.path / f"{split}_{what}.npy", array)
    return Dataset.seal(data.path, data.card)


def test_a_label_no_model_output_stands_for_is_named(tmp_path: Path) -> None:
    data = table(tmp_path)
    labels = np.array(data.labels("test"))
    labels[3] = 7
    found = broken(check(rewritten(data, "test", "y", labels)))
    assert found["labels"].endswith(f"1 of 80 rows: {data.origin('test')[3]} (test) holds 7")


@pytest.mark.parametrize(
    ("rule", "array"), [("shape", np.zeros((20, 2), np.float32)), ("dtype", np.zeros((20, 3), np.float16))]
)
def test_a_split_stored_differently_is_named(tmp_path: Path, rule: str, array: np.ndarray) -> None:
    assert "but test holds" in broken(check(rewritten(table(tmp_path), "test", "x", array)))[rule]


def test_regression_and_anomaly_data_have_rules_of_their_own(tmp_path: Path) -> None:
    def normal(x: np.ndarray, y: np.ndarray) -> None:
        y[:60] = 0

    for task in ("regression", "anomaly"):
        results = check(table(tmp_path / task, normal, task))
        assert broken(results) == {}
        assert "class_balance" not in results


def test_a_suite_of_the_users_own_runs_on_the_same_table(tmp_path: Path) -> None:
    mean = {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "a", "min_value": 5}}
    low = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "b", "max_value": 0.999, "mostly": 1}}
    missing = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "nope"}}
    (tmp_path / "suite.json").write_text(json.dumps({"name": "ours", "expectations": [mean, low, missing]}))

    def change(x: np.ndarray, y: np.ndarray) -> None:
        x[4, 1] = 1

    found = broken(check(table(tmp_path, change), suite=str(tmp_path / "suite.json")))
    assert "min_value: 5: column 'a': found 0.5" in found["suite: expect_column_mean_to_be_between (a)"]
    assert "row 5 (" in found["suite: expect_column_values_to_be_between (b)"]
    assert 'column "nope"' in found["suite: expect_column_values_to_not_be_null (nope)"]
    assert len(found) == 3


def test_a_suite_in_yaml_sees_facts_about_pictures(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(
        "expectations:\n"
        "- {type: expect_column_values_to_be_in_set, kwargs: {column: shape, value_set: ['(4, 4)']}}\n"
        "- {type: expect_table_row_count_to_equal, kwargs: {value: 80}}\n"
    )
    results = check(pictures(tmp_path), suite=str(tmp_path / "suite.yaml"))
    assert broken(results) == {}
    assert "suite: expect_table_row_count_to_equal" in results


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "no suite of expectations"),
        ('{"expectations": []}', "no suite of expectations"),
        ("{", "cannot be read"),
        ('{"expectations": [{"expectation_type": "expect_x", "kwargs": {}}]}', "(?s)a type and kwargs.*expectation 1"),
        (
            '{"expectations": [{"type": "expect_column_value_to_be_between", "kwargs": {"column": "a"}}]}',
            "(?s)no expectation .expect_column_value_to_be_between.*did you mean 'expect_column_values_to_be_between'",
        ),
        (
            '{"expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"colum": "a"}}]}',
            "does not take these kwargs: column: field required; colum: extra fields",
        ),
    ],
)
def test_what_is_no_suite_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "suite.json").write_text(text)
    with pytest.raises(DataError, match=message):
        check(table(tmp_path), suite=str(tmp_path / "suite.json"))


def test_a_suite_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file 'gone\.json'"):
        check(table(tmp_path), suite=str(tmp_path / "gone.json"))


def test_a_feature_named_as_one_of_our_columns_is_told(tmp_path: Path) -> None:
    rows = "\n".join(f"{value},{value % 2}" for value in range(80))
    (tmp_path / "all.csv").write_text(f"origin,label\n{rows}")
    data = load_dataset(DataSpec(source=str(tmp_path / "all.csv")), "classification", 0, tmp_path / "dataset")
    with pytest.raises(DataError, match="a feature is called 'origin'"):
        check(data)


def test_all_broken_rules_stand_in_one_error(tmp_path: Path) -> None:
    results = check(table(tmp_path, same_sample), value_range=(2, 3))
    with pytest.raises(DataError, match=r"(?s)breaks 2 rules:\n  - range: .*\n  - duplicates: ") as caught:
        require(results.values())
    assert len(caught.value.message.splitlines()) < 10


def test_nothing_is_written_beside_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = table(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    monkeypatch.setenv("HOME", str(empty))
    check(data)
    assert list(empty.iterdir()) == []


USE_FLAVOR = """
import sys
from pathlib import Path
from zenml.cli.cli import cli
from zenml.client import Client
from edgewright.config.data import DataChecks
from edgewright.data.dataset import Dataset

cli(["data-validator", "flavor", "register", sys.argv[2]], standalone_mode=False)  # what the command `zenml` does
client = Client()
client.create_stack_component("rules", "edgewright_gx", "data_validator", {})
client.create_stack(
    "checked", {"orchestrator": "default", "artifact_store": "default", "data_validator": "rules"}
)
client.activate_stack("checked")
assert "great_expectations" not in sys.modules
validator = client.active_stack.data_validator
results = validator.data_validation(Dataset.open(Path(sys.argv[1])), checks=DataChecks(value_range=(0, 0.5)))
print([result.rule for result in results if not result.passed])
"""


def test_the_zenml_flavor_registers_in_a_fresh_store_and_checks(tmp_path: Path) -> None:
    data = table(tmp_path)
    home = tmp_path / "zenml"
    copy_zenml_store(home)
    env = {**os.environ, "ZENML_CONFIG_PATH": str(home), "ZENML_ANALYTICS_OPT_IN": "false", "ZENML_LOGGING_VERBOSITY": "WARN"}
    script = tmp_path / "use_flavor.py"
    script.write_text(USE_FLAVOR)
    command = [sys.executable, str(script), str(data.path), FLAVOR]
    ran = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.splitlines()[-1] == "['range']"
