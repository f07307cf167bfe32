# SPDX-License-Identifier: Apache-2.0
"""Wrong configurations: each is refused with exit code 2, and says what, where and what was probably meant."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgewright.cli import main

TARGETS = "targets: [{name: phone, runtime: onnxruntime}]\n"
PHONE = "targets:\n  - name: phone\n    runtime: onnxruntime\n"
#: what is wrong -> the file, and what the message has to say
WRONG: dict[str, tuple[str, list[str]]] = {
    # ---- misspelt keys, at each level ----
    "key at the top": (TARGETS + "modle: {}\n", ["release.yaml:2  modle: unknown key; did you mean 'model'?"]),
    "key of data": (TARGETS + "data:\n  sauce: digits\n", ["release.yaml:3  data.sauce: unknown key; did you mean 'source'?"]),
    "key of a split": (TARGETS + "data: {splits: {trian: 0.5}}\n", ["data.splits.trian: unknown key; did you mean 'train'?"]),
    "key of training": (
        TARGETS + "model:\n  training:\n    learning_rat: 1\n",
        ["release.yaml:4  model.training.learning_rat: unknown key; did you mean 'learning_rate'?"],
    ),
    "key of a budget": (
        PHONE + "    budget:\n      max_acuracy_drop: 0.1\n",
        ["release.yaml:5  targets.0.budget.max_acuracy_drop: unknown key; did you mean 'max_accuracy_drop'?"],
    ),
    "key of parity": (TARGETS + "gate: {parity: {min_agrement: 1}}\n", ["unknown key; did you mean 'min_agreement'?"]),
    "key of a pass": (
        TARGETS + "ladder:\n  - passes: [{kind: ptq_w8a8, samplez: 3}]\n",
        ["release.yaml:3  ladder.0.passes.0.samplez: unknown key; did you mean 'samples'?"],
    ),
    "key like no other": (TARGETS + "xyzzy: 1\n", ["xyzzy: unknown key; valid: ", "targets"]),
    # ---- types and ranges ----
    "text for a number": (
        PHONE + "    budget: {size_bytes: big}\n",
        ["targets.0.budget.size_bytes: got 'big'; must be a whole number"],
    ),
    "fraction for a whole number": (TARGETS + "model: {training: {epochs: 1.5}}\n", ["got 1.5; must be a whole number"]),
    "negative limit": (PHONE + "    budget: {latency_p95_ms: -1}\n", ["got -1; must be greater than 0"]),
    "negative seed": (TARGETS + "seed: -1\n", ["release.yaml:2  seed: got -1; must be at least 0"]),
    "share above one": (TARGETS + "data: {checks: {max_missing: 2}}\n", ["got 2; must be at most 1"]),
    "number for a list": (TARGETS + "data: {preprocessing: {mean: 0.5}}\n", ["got 0.5; must be a list"]),
    "text for a section": (TARGETS + "data: digits\n", ["data: got 'digits'; must be a mapping of keys to values"]),
    "text for a switch": (TARGETS + "model: {allow_pickle: perhaps}\n", ["got 'perhaps'; must be true or false"]),
    "null for a number": (TARGETS + "seed: null\n", ["seed: got null; must be a whole number"]),
    "one number of two": (TARGETS + "data: {image_size: [28]}\n", ["data.image_size.1: is missing"]),
    "split of 150 %": (TARGETS + "data: {splits: {train: 1.5}}\n", ["train: got 1.5; must be less than 1, or text"]),
    "name with a space": (TARGETS + "name: my release\n", ["got 'my release'; must be a name of letters, digits and . _ -"]),
    "name of a bundle": (PHONE.replace("phone", "phone.bundle"), ["must not end in '.bundle': so signed bundles are named"]),
    "name of a history": (PHONE.replace("phone", "phone.history"), ["must not end in '.history'"]),
    # ---- choices ----
    "unknown task": (TARGETS + "task: clasification\n", ["'regression' or 'anomaly'; did you mean 'classification'?"]),
    "unknown optimizer": (TARGETS + "model: {training: {optimizer: adam}}\n", ["must be 'adamw' or 'sgd'"]),
    "unknown metric": (TARGETS + "metric: topp1\n", ["metric 'topp1' is unknown; valid: top1"]),
    "metric of another task": (TARGETS + "metric: mae\n", ["metric 'mae' does not fit task 'classification'"]),
    "unknown recipe": (TARGETS + "ladder: [ptq_w8a9]\n", ["no pass is called 'ptq_w8a9'; did you mean 'ptq_w8a8'?"]),
    "unknown recipe option": (TARGETS + "ladder: [ptq_w8a8.entrpy]\n", ["has no option 'entrpy'", "did you mean 'entropy'?"]),
    "unknown kind of pass": (
        TARGETS + "ladder:\n  - passes:\n      - {kind: ptqw8a8}\n",
        ["release.yaml:4  ladder.0.passes.0: no kind is called 'ptqw8a8'; did you mean 'ptq_w8a8'?"],
    ),
    "pass without a kind": (TARGETS + "ladder: [{passes: [{samples: 3}]}]\n", ["the key 'kind' is missing"]),
    "empty ladder": (TARGETS + "ladder: []\n", ["ladder: got []; must be a list of at least 1"]),
    "recipe without passes": (TARGETS + "ladder: [{passes: []}]\n", ["ladder.0.passes: got []; must be a list of at least 1"]),
    "recipe for a ladder": (TARGETS + "ladder: ptq_w8a8\n", ["ladder: got 'ptq_w8a8'; must be 'auto', or a list of recipes"]),
    # ---- what does not fit together ----
    "no targets": ("name: x\n", ["targets: is missing"]),
    "no target in the list": ("targets: []\n", ["targets: got []; must be a list of at least 1"]),
    "target without a runtime": ("targets: [{name: a}]\n", ["targets.0.runtime: is missing: name of an installed runtime"]),
    "two targets of one name": (
        "targets: [{name: a, runtime: litert}, {name: a, runtime: litert}]\n",
        ["two targets are called 'a'"],
    ),
    "fractions beyond one": (
        TARGETS + "data: {splits: {train: 0.7, test: 0.9}}\n",
        ["must not exceed 1, they add up to 1.6"],
    ),
    "nothing to release": (TARGETS + "model: {training: null}\n", ["'training: null' needs 'weights'"]),
    # ---- not the form of a release.yaml ----
    "empty file": ("", ["release.yaml is empty", "edgewright init"]),
    "only comments": ("# nothing\n", ["release.yaml is empty"]),
    "not a mapping": ("- a\n- b\n", ["must be a mapping of keys to values"]),
    "key that stands twice": ("seed: 1\n" + TARGETS + "seed: 2\n", ["'seed' stands twice: on line 1 and on line 3", ":3"]),
    "key that stands twice, deep down": (
        PHONE + "    budget:\n      size_bytes: 1\n      size_bytes: 2\n",
        ["'size_bytes' stands twice: on line 5 and on line 6"],
    ),
    "bracket left open": ("targets: [{name: a\nseed: 1\n", ["not YAML", "release.yaml:2:"]),
    "indented with a tab": ("targets:\n\t- name: a\n", ["indented with a tab", "release.yaml:2:1"]),
    "Python in YAML": ("targets: !!python/object/apply:os.system [ls]\n", ["not YAML", "release.yaml:1:"]),
    "two documents": (TARGETS + "---\n" + TARGETS, ["not YAML", "document"]),
    "parameters misspelt": (
        "paramters:\n  config: {}\n",
        ["release.yaml:1  paramters: unknown key; did you mean 'parameters'?"],
    ),
    "no config below parameters": ("parameters:\n  confg: {}\n", ["parameters: the key 'config' is missing", "found: confg"]),
    "key beside config": (
        "parameters:\n  config: {targets: []}\n  seed: 1\n",
        ["release.yaml:3  parameters.seed: unknown key; everything stands below parameters.config"],
    ),
    "key outside of config": (
        "parameters:\n  config: {}\ntargets: []\n",
        ["release.yaml:3  targets: stands outside of parameters.config, where it would be ignored"],
    ),
    "key below parameters.config": (
        "parameters:\n  config:\n    targets: [{name: a, runtime: litert}]\n    sed: 1\n",
        ["release.yaml:4  sed: unknown key; did you mean 'seed'?"],
    ),
    # ---- names of what is not there ----
    "unknown runtime": ("targets: [{name: a, runtime: onnxruntim}]\n", ["'onnxruntim'", "did you mean 'onnxruntime'?"]),
    "unknown device": (PHONE + "    device: locl\n", ["no device is called 'locl'", "did you mean 'local'?"]),
    "unknown framework": (TARGETS + "model: {framework: pytorh}\n", ["'pytorh'", "did you mean 'pytorch'?"]),
    "module that is not there": ("targets: [{name: a, runtime: 'nowhere:Runtime'}]\n", ["'nowhere' does not import"]),
    "class that is not there": ("targets: [{name: a, runtime: 'pathlib:Pth'}]\n", ["'pathlib' has no 'Pth'", "'Path'"]),
    "metric that does not import": (TARGETS + "metric: 'nowhere:score'\n", ["module 'nowhere' does not import"]),
    "unknown option of a device": (PHONE + "    device_options: {prt: 1}\n", ["device_options", "prt: unknown key"]),
}


def check(folder: Path, text: str) -> Result:
    (folder / "release.yaml").write_text(text, encoding="utf-8")
    return CliRunner().invoke(main, ["check", str(folder / "release.yaml")])


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_configuration_says_what_where_and_what_was_meant(case: str, tmp_path: Path) -> None:
    text, expected = WRONG[case]
    result = check(tmp_path, text)
    assert result.exit_code == 2, result.output
    for part in expected:
        assert part in result.output
    assert result.output.count("\n") < 24, "one screen"
    assert "Traceback" not in result.output


def test_all_problems_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    result = check(tmp_path, "seed: -1\nname: a b\n" + PHONE + "    budgt: {}\n")
    lines = [line for line in result.output.splitlines() if line.startswith("release.yaml:")]
    assert [line.split("  ")[0] for line in lines] == ["release.yaml:1", "release.yaml:2", "release.yaml:6"]


def test_at_most_ten_problems_are_told_and_the_others_counted(tmp_path: Path) -> None:
    result = check(tmp_path, TARGETS + "".join(f"wrong{number}: 1\n" for number in range(14)))
    assert result.output.count("unknown key") == 10
    assert "… and 4 more" in result.output


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["check", str(tmp_path / "relase.yaml")])
    assert result.exit_code == 2
    assert "there is no file 'relase.yaml'" in result.output
    assert "edgewright init" in result.output


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "release.yaml").write_bytes(b"\xff\xfe\x00\x01")
    result = CliRunner().invoke(main, ["check", str(tmp_path / "release.yaml")])
    assert result.exit_code == 2
    assert "cannot be read as text" in result.output
