# SPDX-License-Identifier: Apache-2.0
"""A signed bundle holds everything about one artifact, is the same each time, and is refused once anything in it is not so."""

import json
from pathlib import Path
from typing import Any

import pytest
from signed_bundles import FINISHED, RUN, Signed, sign_release

from edgewright.errors import StoreError
from edgewright.trust.keys import make_key, public_key
from edgewright.trust.release import sign_target
from edgewright.trust.signed import BOM, MANIFEST, PROVENANCE, VERDICT
from edgewright.trust.verify import checked

MODEL = "artifact/model.onnx"


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return sign_release(tmp_path_factory.mktemp("signed"))


@pytest.fixture(scope="module")
def other(signed: Signed, tmp_path_factory: pytest.TempPathFactory) -> Signed:
    """Another target's bundle of another model, by the same key."""
    return sign_release(tmp_path_factory.mktemp("other"), "board", b"something else", signed.key)


def _refused(path: Path, signed: Signed, said: str) -> None:
    with pytest.raises(StoreError, match=said) as told:
        checked(path, signed.trusted)
    assert told.value.where == str(path)


def test_a_bundle_says_what_was_checked_and_gives_the_artifact_back(signed: Signed, tmp_path: Path) -> None:
    told: list[str] = []
    bundle = checked(signed.path, signed.trusted, lambda check: told.append(check.name))
    assert told == [check.name for check in bundle.checks]
    assert told == [
        "layout", "signature", "contents", "artifact", "verdict", "of this artifact", "provenance", "calibration",
        "bill of materials",
    ]  # fmt: skip
    assert (bundle.digest, bundle.key) == (signed.digest, signed.trusted[0].keyid)
    artifact = bundle.extract(tmp_path / "artifact")
    assert artifact.digest == signed.artifact.digest == bundle.artifact_digest == bundle.verdict.artifact
    assert artifact.main_file.read_bytes() == b"int8"
    assert bundle.manifest == signed.artifact.facts
    assert bundle.reference is None
    with pytest.raises(StoreError, match="there is something already"):
        bundle.extract(tmp_path / "artifact")


def test_equal_input_gives_equal_bytes(signed: Signed, tmp_path: Path) -> None:
    again = sign_release(tmp_path, key=signed.key)
    assert again.path.read_bytes() == signed.path.read_bytes()


def test_the_provenance_names_data_code_parent_run_and_toolchain(signed: Signed) -> None:
    statement = checked(signed.path, signed.trusted).statement
    assert {subject.name for subject in statement.subjects} == set(signed.files) - {PROVENANCE}
    names = ("data", "code", "candidate", "parent", "warm_start", "calibration/ptq_w8a8")
    known = {name: statement.depends_on(name) for name in names}
    assert known == {
        "data": "d" * 64,
        "code": "c" * 64,
        "candidate": "e" * 64,
        "parent": "f" * 64,
        "warm_start": "b" * 64,
        "calibration/ptq_w8a8": "ca" * 32,
    }
    uris = {one.uri for one in statement.predicate.definition.dependencies}
    assert {"pkg:pypi/torch@2.13", "pkg:pypi/onnx@1.20"} <= uris
    assert statement.predicate.run.metadata.run_id == RUN
    assert statement.predicate.run.metadata.finished == FINISHED
    assert statement.predicate.definition.external["recipe"] == "ptq_w8a8"


def test_the_bill_of_materials_keeps_to_the_schema_and_holds_the_gate_s_numbers(signed: Signed) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    page = signed.files[BOM].decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(page) is None
    model = json.loads(page)["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    assert model["pedigree"]["ancestors"][0]["hashes"] == [{"alg": "SHA-256", "content": "b" * 64}]
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert {"type": "top1", "slice": "test data", "value": "0.88 fraction (n=100, measured)"}.items() <= metrics[-1].items()


@pytest.mark.parametrize("name", [MODEL, MANIFEST, VERDICT, BOM, PROVENANCE])
def test_one_flipped_bit_is_refused_wherever_it_is(signed: Signed, name: str, tmp_path: Path) -> None:
    content = bytearray(signed.files[name])
    content[len(content) // 2] ^= 4
    changed = signed.with_files(tmp_path / "a.bundle", {name: bytes(content)})
    said = "no trusted key signed this|no DSSE envelope" if name == PROVENANCE else f"{name} was changed since it was signed"
    _refused(changed, signed, said)


def test_files_put_in_or_taken_out_are_refused(signed: Signed, tmp_path: Path) -> None:
    _refused(signed.with_files(tmp_path / "a", {"artifact/run.sh": b"rm"}), signed, "artifact/run.sh was put in")
    _refused(signed.with_files(tmp_path / "b", {"reference.json": b"{}"}), signed, "reference.json was put in")
    _refused(signed.with_files(tmp_path / "c", {MODEL: None}), signed, f"{MODEL} was taken out")
    _refused(signed.with_files(tmp_path / "d", {BOM: None}), signed, f"the bundle has no {BOM}")
    _refused(signed.with_files(tmp_path / "e", {"run.sh": b"rm"}), signed, "no part of one")


def test_artifacts_swapped_between_targets_are_refused(signed: Signed, other: Signed, tmp_path: Path) -> None:
    theirs = {name: content for name, content in other.files.items() if name.startswith("artifact/")}
    _refused(signed.with_files(tmp_path / "a", theirs), signed, "was changed since it was signed")
    again = signed.with_files(tmp_path / "b", theirs, signed_again=True)
    _refused(again, signed, f"the verdict is of artifact {signed.artifact.digest[:12]}, and the bundle holds")


def test_a_verdict_from_another_model_is_refused_even_when_it_is_signed(signed: Signed, other: Signed, tmp_path: Path) -> None:
    theirs = {VERDICT: other.files[VERDICT]}
    _refused(signed.with_files(tmp_path / "a", theirs), signed, f"{VERDICT} was changed since it was signed")
    again = signed.with_files(tmp_path / "b", theirs, signed_again=True)
    _refused(again, signed, f"the verdict is of artifact {other.artifact.digest[:12]}, and the bundle holds")


def test_the_other_bundle_s_signature_does_not_fit(signed: Signed, other: Signed, tmp_path: Path) -> None:
    _refused(
        signed.with_files(tmp_path / "a", {PROVENANCE: other.files[PROVENANCE]}), signed, "was changed since it was signed"
    )


def _stale(page: Any) -> None:
    page["facts"]["quantization"]["ptq_w8a8"]["calibration_digest"] = "0" * 64


def _dependency(page: Any, name: str) -> Any:
    found = page["predicate"]["buildDefinition"]["resolvedDependencies"]
    return next(one for one in found if one["name"] == name)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (VERDICT, lambda page: page["calibration"].update(ptq_w8a8="0" * 64), "the verdict gives the calibration samples"),
        (
            PROVENANCE,
            lambda page: _dependency(page, "calibration/ptq_w8a8")["digest"].update(sha256="0" * 64),
            "the provenance gives the calibration samples of ptq_w8a8 as 000000000000, "
            "and the artifact was calibrated on cacacacacaca",
        ),
        (MANIFEST, _stale, "the verdict is of artifact"),
        (PROVENANCE, lambda page: _dependency(page, "data")["digest"].update(sha256="0" * 64), "the provenance gives data"),
        (PROVENANCE, lambda page: _dependency(page, "code")["digest"].update(sha256="0" * 64), "the provenance gives code"),
        (VERDICT, lambda page: page.update(target="board"), "are for target 'phone', not 'board'"),
        (VERDICT, lambda page: page.update(model="digits-board"), "is not what target 'phone' of 'digits' is registered as"),
        (VERDICT, lambda page: page.update(recipe="fp16"), "the verdict is of recipe 'fp16'"),
        (VERDICT, lambda page: page.update(outcome="fail"), "is no pass: it is 'fail'"),
        (VERDICT, lambda page: page.update(findings=[]), "is no pass: it has no findings"),
        (VERDICT, lambda page: page["findings"][0].update(outcome="inconclusive"), "is no pass: as good"),
        (VERDICT, lambda page: page["test"].update(artifact="0" * 64), "the measurements on test data are of another artifact"),
        (VERDICT, lambda page: page.update(schema_version=2), "verdict.json does not hold what it should: schema_version"),
        (VERDICT, lambda page: page.pop("artifact"), "verdict.json does not hold what it should: artifact"),
        (MANIFEST, lambda page: page["files"].update({"model.onnx": "0" * 64}), "model.onnx is not what the artifact's"),
        (MANIFEST, lambda page: page.update(type="Candidate"), "is of a 'Candidate', not of an artifact"),
        (BOM, lambda page: page.update(specVersion="1.4"), "is no CycloneDX 1.6"),
        (BOM, lambda page: page["metadata"].update(component="?"), "is not of this artifact"),
        (BOM, lambda page: page["metadata"]["component"]["hashes"][0].update(content="0" * 64), "is not of this artifact"),
        (
            PROVENANCE,
            lambda page: page.update(predicateType="https://slsa.dev/provenance/v0.2"),
            "does not hold what it should",
        ),
        (PROVENANCE, lambda page: page.update(subject=[]), "does not hold what it should: subject"),
    ],
)
def test_a_signature_does_not_cover_for_parts_that_do_not_fit_together(
    signed: Signed, name: str, change: Any, said: str, tmp_path: Path
) -> None:
    _refused(signed.with_page(tmp_path / "a.bundle", name, change), signed, said)


def test_a_bundle_by_nobody_we_trust_is_refused(signed: Signed, tmp_path: Path) -> None:
    stranger = make_key(tmp_path / "stranger.pem")
    with pytest.raises(StoreError, match="no trusted key signed this"):
        checked(signed.path, [public_key(stranger)])
    with pytest.raises(StoreError, match="trusted: none"):
        checked(signed.path, [])


def test_a_bundle_that_changes_after_it_was_checked_is_not_unpacked(signed: Signed, tmp_path: Path) -> None:
    copy = tmp_path / "a.bundle"
    copy.write_bytes(signed.path.read_bytes())
    bundle = checked(copy, signed.trusted)
    entry, content = bundle.entries[MODEL], bytearray(copy.read_bytes())
    content[entry.offset] ^= 1
    copy.write_bytes(content)
    with pytest.raises(StoreError, match="was changed while it was read"):
        bundle.extract(tmp_path / "artifact")
    assert [file.name for file in tmp_path.iterdir()] == ["a.bundle"]


def test_neither_the_key_nor_its_name_is_in_the_bundle(signed: Signed) -> None:
    content = signed.path.read_bytes()
    assert b"release.pem" not in content
    assert str(signed.key.parent).encode() not in content
    secret = "".join(signed.key.read_text().splitlines()[1:-1])
    assert secret.encode() not in content


def test_sketches_of_the_training_data_travel_under_the_same_signature(signed: Signed, tmp_path: Path) -> None:
    from edgewright.trust.keys import signer_of

    out, target = tmp_path / "with.bundle", signed.facts.targets[0]
    signer = signer_of(f"file:{signed.key}")
    page = json.dumps({"model": signed.artifact.digest}).encode()
    sign_target(signed.facts, target, signed.artifact, RUN, FINISHED, signer, out, page)
    assert checked(out, signed.trusted).reference == page
    sign_target(signed.facts, target, signed.artifact, RUN, FINISHED, signer, out, b'{"model": "another"}')
    _refused(out, signed, "reference.json is of artifact 'another'")
