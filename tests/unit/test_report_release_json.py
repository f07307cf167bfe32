# SPDX-License-Identifier: Apache-2.0
"""release.json: read what was written, a schema that holds, and errors that say what to do."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from report_facts import make_facts

from edgewright.errors import StoreError
from edgewright.report import release_json
from edgewright.report.atomic import write_text
from edgewright.report.write import write_report

SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "release.schema.json"


def test_facts_come_back_as_they_were_written(tmp_path: Path) -> None:
    facts = make_facts()
    release_json.write(facts, tmp_path / "release.json")
    assert release_json.read(tmp_path / "release.json") == facts


def test_same_facts_give_the_same_bytes() -> None:
    assert release_json.dump(make_facts()) == release_json.dump(make_facts())


def test_the_digest_that_was_signed_is_found_again_in_a_page_of_another_version(tmp_path: Path) -> None:
    diverged = make_facts().candidate.history[0].model_copy(update={"train_loss": float("nan"), "learning_rate": 1e-07})
    facts = make_facts(candidate=make_facts().candidate.model_copy(update={"history": (diverged,)}), toolchain={"naïve": "1"})
    assert release_json.digest_of_page(release_json.dump(facts)) == release_json.digest_of(facts)
    unpromoted = facts.with_refusals({facts.targets[0].name: "another was faster"})
    assert release_json.digest_of_page(release_json.dump(unpromoted)) == release_json.digest_of(facts)
    older: Any = {"exclude": {"key": True, "targets": {"__all__": {"not_promoted"}}}}  # fields that came later
    signed = hashlib.sha256(facts.model_dump_json(**older).encode()).hexdigest()
    page = tmp_path / "release.json"
    page.write_text(facts.model_dump_json(indent=1, **older), encoding="utf-8")
    assert release_json.read_with_digest(page)[1] == signed


def test_schema_in_the_reference_is_current() -> None:
    current = json.dumps(release_json.schema(), indent=1, ensure_ascii=False) + "\n"
    assert SCHEMA.read_text(encoding="utf-8") == current, (
        "run: python -m edgewright.report.release_json > docs/reference/release.schema.json"
    )


def test_schema_is_sound_and_has_a_name_that_needs_no_network() -> None:
    schema = release_json.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == "urn:edgewright:release:1"


def test_schema_accepts_what_is_written_even_when_training_diverged() -> None:
    facts = make_facts()
    lost = facts.candidate.history[-1].model_copy(update={"train_loss": float("nan"), "validation_loss": float("inf")})
    diverged = facts.candidate.model_copy(update={"history": (*facts.candidate.history, lost)})
    page = json.loads(release_json.dump(facts.model_copy(update={"candidate": diverged})), parse_constant=pytest.fail)
    jsonschema.Draft202012Validator(release_json.schema()).validate(page)


@pytest.mark.parametrize("change", [{"extra": 1}, {"targets": "none"}, {"schema_version": 2}, {"metric": None}])
def test_schema_refuses_another_page(change: dict[str, object]) -> None:
    page = {**json.loads(release_json.dump(make_facts())), **change}
    assert not jsonschema.Draft202012Validator(release_json.schema()).is_valid(page)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        ("{", "is not JSON"),
        ("[]", "no schema_version"),
        ('{"schema_version": 2}', "schema_version 2; this edgewright reads 1"),
        ('{"schema_version": 1, "release": 7}', "does not hold the facts of a release: release"),
    ],
)
def test_bad_file_is_one_error_that_names_it(tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "release.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(StoreError) as caught:
        release_json.read(file)
    assert said in caught.value.what
    assert caught.value.where == str(file)
    assert caught.value.to_do


def test_report_is_a_page_and_a_record_and_nothing_else(tmp_path: Path) -> None:
    page, record = write_report(make_facts(), tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["release.json", "report.html"]
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert release_json.read(record).release == "digits"


def test_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    write_text(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "new \ud800")
    assert [entry.read_text() for entry in tmp_path.iterdir()] == ["old"]


def test_folder_that_cannot_be_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        release_json.write(make_facts(), tmp_path / "file" / "release.json")
