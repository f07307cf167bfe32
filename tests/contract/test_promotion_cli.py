# SPDX-License-Identifier: Apache-2.0
"""promote, rollback, history, diff and drill as a user calls them."""

import json
from itertools import count
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from histories import key, write_policy
from mlflow.tracking import MlflowClient
from promotions import Shop

from edgewright.cli import main

_numbers = count()


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/mlflow.db"


@pytest.fixture
def shop(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A store, and a release.yaml in the working folder that names it."""
    monkeypatch.chdir(tmp_path)
    made = Shop(uri, tmp_path, f"digits{next(_numbers)}")
    config = {"name": made.name, "targets": [{"name": "phone", "runtime": "null"}], "output": str(tmp_path)}
    config |= {"tracking": {"uri": uri, "experiment": "edge"}, "signing": {"key": key(tmp_path, "release")}}
    Path("release.yaml").write_text(yaml.safe_dump(config))
    return made


def edgewright(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(main, [str(each) for each in arguments])


def test_promote_history_and_rollback_in_one_command_each(shop: Shop) -> None:
    (first, _), _ = shop.two()
    ended = edgewright("rollback", shop.model, "--reason", "it crashed in the field")
    assert ended.exit_code == 0, ended.output
    assert f"{shop.model}: champion is version 1 ({first.artifact.digest[:12]}), before it version 2" in ended.output
    again = edgewright("promote", shop.folder / shop.name / "second", "--target", "phone", "--config", "release.yaml")
    assert again.exit_code == 0, again.output
    assert shop.alias() == "2"
    assert edgewright("rollback", "--target", "phone").exit_code == 0
    refused = edgewright("rollback", shop.model)
    assert refused.exit_code == 1
    assert "has no champion before this one" in refused.output
    told = edgewright("history", "--verify")
    assert told.exit_code == 0, told.output
    assert "it crashed in the field" in told.output
    assert "4 valid" not in told.output
    assert "✓ every entry signed and in its place (5 valid, 0 void)" in told.output


def test_an_alias_that_was_moved_is_told_by_history_and_repaired(shop: Shop) -> None:
    shop.two()
    MlflowClient(shop.uri).set_registered_model_alias(shop.model, "champion", "1")
    told = edgewright("history", "--verify")
    assert told.exit_code == 1
    assert f"alias 'champion' of {shop.model} is on version 1, and the history says 2" in told.output
    repaired = edgewright("history", "--repair")
    assert repaired.exit_code == 0
    assert "repaired: " in repaired.output
    assert edgewright("history", "--verify").exit_code == 0
    assert shop.alias() == "2"


def test_an_edited_history_ends_verify_with_1_and_promote_with_2(shop: Shop) -> None:
    shop.two()
    MlflowClient(shop.uri).set_model_version_tag(f"{shop.model}.history", "1", "edgewright.entry", "{}")
    told = edgewright("history", shop.model, "--verify")
    assert told.exit_code == 1
    assert "entry 1 is not what the mirror holds" in told.output
    refused = edgewright("promote", shop.folder / shop.name / "first", "--config", "release.yaml")
    assert refused.exit_code == 2
    assert "cannot be trusted" in refused.output
    assert "Traceback" not in refused.output


def test_what_was_changed_since_it_was_judged_is_not_promoted(shop: Shop) -> None:
    shop.two()
    folder, other = shop.folder / shop.name / "first", shop.folder / shop.name / "second"
    bundle, theirs = folder / "artifacts" / "phone.bundle", other / "artifacts" / "phone.bundle"
    own = bundle.read_bytes()

    def refused() -> str:
        ended = edgewright("promote", folder, "--config", "release.yaml", "--override", "--reason", "please")
        assert ended.exit_code == 2, ended.output
        return ended.output

    bundle.write_bytes(theirs.read_bytes())
    assert "is of another artifact or verdict than the release" in refused()
    bundle.write_bytes(own.replace(b"fp16", b"fp32").replace(b"digits", b"digitz"))
    assert "was changed since it was signed" in refused()
    bundle.unlink()
    assert "phone.bundle" in refused()
    bundle.write_bytes(own)
    record = json.loads((folder / "release.json").read_text())
    changed = json.loads(json.dumps(record))
    changed["targets"][0]["champion_before"] = "1" * 64
    (folder / "release.json").write_text(json.dumps(changed))
    assert "was changed since: its verdict cannot be trusted" in refused()
    (folder / "release.json").write_text(json.dumps(record))
    (folder / "artifacts" / "phone" / "model.onnx").write_bytes(b"evil")
    assert "was changed or cut short" in refused()
    assert shop.look().numbers == 2


def test_the_policy_of_the_release_yaml_holds_on_the_command_line(shop: Shop) -> None:
    key(shop.folder, "release")
    policy = write_policy(shop.folder, [{"key": "release", "do": ["override"]}], overrides=True)
    config = yaml.safe_load(Path("release.yaml").read_text())
    config["tracking"]["policy"] = policy.name
    Path("release.yaml").write_text(yaml.safe_dump(config))
    shop.release("first")
    shop.release("slow", outcome="fail", passed_rung=None)
    passed, failed = shop.folder / shop.name / "first", shop.folder / shop.name / "slow"
    refused = edgewright("promote", passed, "--config", "release.yaml")
    assert refused.exit_code == 1
    assert "key release may not promote" in refused.output
    assert edgewright("promote", failed, "--config", "release.yaml", "--override").exit_code == 2, "a reason is needed"
    done = edgewright("promote", failed, "--config", "release.yaml", "--override", "--reason", "the fleet is down")
    assert done.exit_code == 0, done.output
    assert "overruled: the verdict is fail" in done.output
    shown = edgewright("history").output
    assert "release (" in shown
    assert "overruled: the verdict is fail" in shown
    policy.write_text("keys: {}\nmay: [{key: nobody, do: [promote]}]\nmax_data_age: 3\n")
    wrong = edgewright("history")
    assert wrong.exit_code == 2
    assert "policy.yaml is not a valid policy" in wrong.output
    assert "max_data_age" in wrong.output
    policy.write_text("keys: {release: nowhere.pub}\nmay: [{key: release, do: [promote]}]\n")
    assert "a key of the policy is none: cannot read a public key" in edgewright("history").output
    policy.unlink()
    for command in (["history"], ["rollback", shop.model], ["promote", passed, "--config", "release.yaml"]):
        gone = edgewright(*command)
        assert (gone.exit_code, "there is no policy file" in gone.output) == (2, True), gone.output


def test_diff_shows_what_differs_in_a_table_and_on_a_page(shop: Shop) -> None:
    shop.two()
    ended = edgewright("diff", f"{shop.model}@champion", shop.folder / shop.name / "first", "--page", "diff.html")
    assert ended.exit_code == 0, ended.output
    for words in ("Measured", "88.00 %", "×1", "Inputs", "What it was made of", "differs", "different runs"):
        assert words in ended.output, words
    page = Path("diff.html").read_text()
    assert "<script" not in page
    assert f"{shop.model} version 2" in page
    assert "88.00 %" in page
    assert edgewright("diff", f"{shop.model}/1", f"{shop.model}@rollback").exit_code == 0
    unknown = edgewright("diff", "nowhere", "nothing")
    assert unknown.exit_code == 2
    assert "neither a folder of a release nor a version" in unknown.output


def test_a_drill_leaves_its_seconds(shop: Shop) -> None:
    shop.two()
    folder = shop.folder / shop.name / "second"
    ended = edgewright("drill", folder, "--target", "phone", "--config", "release.yaml")
    assert ended.exit_code == 0, ended.output
    assert "was given a champion each time" in ended.output
    facts = json.loads((folder / "drill.json").read_text())
    assert [move["what"] for move in facts["moves"]] == ["rollback", "promote"]
    assert all(move["seconds"] > 0 for move in facts["moves"])
    alone = Shop(shop.uri, shop.folder, f"{shop.name}-alone")
    alone.promote(alone.release("only"))
    refused = edgewright("drill", shop.folder / alone.name / "only", "--config", "release.yaml")
    assert refused.exit_code == 1
    assert "nothing can be rehearsed" in refused.output


def test_what_is_mistyped_is_told_with_what_was_meant(shop: Shop) -> None:
    shop.two()
    folder, near = f"{shop.name}/second", f"{shop.model[:-1]}"
    meant = f"did you mean '{shop.model}'?"
    for arguments, told in (
        (["history", near], meant),
        (["rollback", near], meant),
        (["diff", f"{near}@champion", folder], meant),
        (["diff", f"{shop.model}@champ", folder], "did you mean 'champion'?"),
        (["diff", f"{shop.model}/99", folder], "edgewright history shows what there is"),
        (["diff", folder, f"{shop.name}/secnd"], "neither a folder of a release nor a version"),
        (["promote", f"{shop.name}/secnd"], "name the folder that a release wrote"),
        (["promote", "release.yaml"], "name the folder that a release wrote"),
        (["promote", folder, "--target", "fone"], "--target with one of: phone"),
        (["rollback", "--target", "fone"], "one of: phone"),
        (["drill", shop.name], "this is no finished release"),
    ):
        ended = edgewright(*arguments)
        assert (ended.exit_code, told in ended.output) == (2, True), ended.output
        assert ended.output.count("\n") <= 4
        assert "to do: " in ended.output
    assert shop.look().numbers == 2


def test_a_question_in_the_wrong_folder_makes_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ("history", "rollback"):
        ended = edgewright(command, "digits-phone")
        assert (ended.exit_code, "nothing was released here" in ended.output) == (2, True), ended.output
    assert list(tmp_path.iterdir()) == []


def test_a_history_that_is_not_there_is_not_called_verified(shop: Shop) -> None:
    ended = edgewright("history", "--verify")
    assert ended.exit_code == 2
    assert f"there is no history of {shop.model}" in ended.output
    assert "✓" not in ended.output
