# SPDX-License-Identifier: Apache-2.0
"""Check a bundle, all of it, offline: the signature first, then that its parts speak of each other.

A signature says who packed the bundle, not that it makes sense: a verdict of another model, or an artifact for another
target, is refused though it is signed.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from edgewright.artifact import Artifact, ArtifactManifest
from edgewright.bundle import PAGE
from edgewright.errors import StoreError
from edgewright.onboard.digest import sha256_of
from edgewright.report.text import plain, plural, quantity
from edgewright.trust import archive
from edgewright.trust.archive import Entry
from edgewright.trust.envelope import opened
from edgewright.trust.signed import (
    BOM,
    FOLDER,
    LARGEST_PAGE,
    MANIFEST,
    PROVENANCE,
    REFERENCE,
    VERDICT,
    Check,
    SignedBundle,
)
from edgewright.trust.statement import PAYLOAD_TYPE, Statement
from edgewright.trust.verdict import ReleaseVerdict, calibration_of

if TYPE_CHECKING:
    from securesystemslib.signer import Key

PageT = TypeVar("PageT", bound=BaseModel)
_PARTS = {MANIFEST, VERDICT, BOM, PROVENANCE}
_REFUSE = "do not use it; ask whoever made it"


def checked(
    path: Path, trusted: Sequence["Key"], told: Callable[[Check], None] | None = None, *, overridden: bool = False
) -> SignedBundle:
    """Check everything that a bundle is and says, and hand it out when all of it holds.

    Args:
        path: the bundle.
        trusted: public keys, one of which must have signed it.
        told: called with each check as soon as it was made.
        overridden: take also what the gate refused, and a person promoted all the same.

    Raises:
        StoreError: something does not hold; the message says what.
    """
    made: list[Check] = []

    def note(check: Check) -> None:
        check = Check(check.name, plain(check.found)[:500])
        made.append(check)
        if told is not None:
            told(check)

    where, entries = str(path), archive.read(path)
    note(layout(entries, where))
    payload, key = opened(archive.content(path, entries[PROVENANCE], LARGEST_PAGE), PAYLOAD_TYPE, trusted, where)
    note(Check("signature", f"by key {key.keyid[:12]}, which is trusted"))
    statement = _page(Statement, payload, "provenance", where)
    note(every_file_is_signed(entries, statement, where))
    manifest_page = archive.content(path, entries[MANIFEST], LARGEST_PAGE)
    manifest, artifact_digest = _manifest(manifest_page, where), hashlib.sha256(manifest_page).hexdigest()
    note(artifact_is_whole(entries, manifest_page, where))
    verdict = _page(ReleaseVerdict, archive.content(path, entries[VERDICT], LARGEST_PAGE), VERDICT, where)
    note(verdict_stands(verdict, key.keyid, where, overridden=overridden))
    note(verdict_is_of(verdict, manifest, artifact_digest, where))
    note(provenance_agrees(statement, verdict, manifest, where))
    note(calibration_agrees(statement, verdict, manifest, where))
    note(bill_is_of(archive.content(path, entries[BOM], LARGEST_PAGE), verdict, artifact_digest, where))
    if REFERENCE in entries:
        note(reference_is_of(archive.content(path, entries[REFERENCE], LARGEST_PAGE), artifact_digest, where))
    return SignedBundle(path, sha256_of(path), key.keyid, artifact_digest, manifest, verdict, statement, entries, tuple(made))


def layout(entries: Mapping[str, Entry], where: str) -> Check:
    """All parts are there, and nothing that is none."""
    if missing := sorted(_PARTS - set(entries)):
        _refuse(f"the bundle has no {missing[0]}", where)
    if strange := sorted(name for name in set(entries) - _PARTS - {REFERENCE} if not name.startswith(FOLDER)):
        _refuse(f"the bundle holds {strange[0]!r}, which is no part of one", where)
    size = sum(entry.size for entry in entries.values())
    return Check("layout", f"{plural(len(entries), 'file')}, {quantity(size, 'bytes')}, plain and complete")


def every_file_is_signed(entries: Mapping[str, Entry], statement: Statement, where: str) -> Check:
    """The statement names every file but itself, each with the sha256 it has here."""
    signed = {subject.name: subject.sha256 for subject in statement.subjects}
    found = {name: entry.sha256 for name, entry in entries.items() if name != PROVENANCE}
    if added := sorted(set(found) - set(signed)):
        _refuse(f"{added[0]} was put in: the signature does not speak of it", where)
    if gone := sorted(set(signed) - set(found)):
        _refuse(f"{gone[0]} was taken out: the signature speaks of it", where)
    if changed := sorted(name for name, digest in found.items() if signed[name] != digest):
        _refuse(f"{changed[0]} was changed since it was signed (its sha256 differs)", where)
    return Check("contents", f"{plural(len(found), 'file')} as they were signed")


def artifact_is_whole(entries: Mapping[str, Entry], page: bytes, where: str) -> Check:
    """The files of the artifact are those that its own page names."""
    named = _files(page, where)
    found = {name.removeprefix(FOLDER): entry.sha256 for name, entry in entries.items() if name.startswith(FOLDER)}
    found.pop(PAGE)
    if found != named:
        differ = sorted({name for name, _ in set(found.items()) ^ set(named.items())})
        _refuse(f"{differ[0]} is not what the artifact's {PAGE} says", where)
    return Check("artifact", f"{hashlib.sha256(page).hexdigest()[:12]}, {plural(len(found), 'file')} as its manifest says")


def verdict_stands(verdict: ReleaseVerdict, key: str, where: str, *, overridden: bool) -> Check:
    """The gate passed it: every rule did, and there were rules. Or a person overrode that, and it is taken nevertheless."""
    against = [finding for finding in verdict.findings if finding.outcome != "pass"]
    if verdict.outcome == "pass" and verdict.findings and not against and verdict.override is None:
        return Check("verdict", f"pass, by {', '.join(finding.rule for finding in verdict.findings)}")
    why = against[0].reason if against else "it has no findings" if not verdict.findings else f"it is {verdict.outcome!r}"
    if verdict.override is None:
        _refuse(f"the gate's verdict on {verdict.model} is no pass: {why}", where)
    by = verdict.override
    if by.key != key:
        _refuse(f"key {by.key[:12]} is said to have overridden the verdict, and key {key[:12]} signed", where)
    who = f"overridden by {by.who} (key {key[:12]}) on {by.when:%Y-%m-%d}: {by.why!r:.200}"
    if not overridden:
        raise StoreError(
            plain(f"the gate's verdict on {verdict.model} is no pass ({why:.300}); it was {who}"),
            where=where,
            to_do="--overridden takes it all the same, where you stand by that decision",
        )
    return Check("verdict", f"NO PASS, {who}. The gate: {why}")


def verdict_is_of(verdict: ReleaseVerdict, manifest: ArtifactManifest, artifact_digest: str, where: str) -> Check:
    """The verdict was made on this very artifact, and so were its measurements."""
    if verdict.artifact != artifact_digest:
        _refuse(f"the verdict is of artifact {verdict.artifact[:12]}, and the bundle holds {artifact_digest[:12]}", where)
    if verdict.recipe != manifest.recipe:
        _refuse(f"the verdict is of recipe {verdict.recipe!r}, and the artifact is {manifest.recipe!r}", where)
    for run in (verdict.validation, verdict.test):
        if run and run.artifact != artifact_digest:
            _refuse(f"the measurements on {run.split} data are of another artifact, {run.artifact[:12]}", where)
        if run and run.target != verdict.target:
            _refuse(f"the measurements on {run.split} data are for target {run.target!r}, not {verdict.target!r}", where)
    return Check("of this artifact", f"verdict and measurements are of {artifact_digest[:12]}, for target {verdict.target}")


def provenance_agrees(statement: Statement, verdict: ReleaseVerdict, manifest: ArtifactManifest, where: str) -> Check:
    """The provenance speaks of the same release, target, recipe, data, code and parent."""
    external = statement.predicate.definition.external
    target = external.get("target")
    target = target if isinstance(target, dict) else {}
    pairs = {
        "release": (external.get("release"), verdict.release),
        "target": (target.get("name"), verdict.target),
        "runtime": (target.get("runtime"), verdict.runtime),
        "recipe": (external.get("recipe"), verdict.recipe),
        "data": (statement.depends_on("data"), verdict.data),
        "code": (statement.depends_on("code"), verdict.code),
        "parent": (statement.depends_on("parent"), manifest.parent),
    }
    for name, (said, known) in pairs.items():
        if said != known:
            _refuse(f"the provenance gives {name} as {said!r:.80}, and the bundle as {known!r:.80}", where)
    if verdict.model != f"{verdict.release}-{verdict.target}":
        _refuse(f"{verdict.model!r} is not what target {verdict.target!r} of {verdict.release!r} is registered as", where)
    run = statement.predicate.run
    return Check("provenance", f"edge_release, MLflow run {run.metadata.run_id}, {run.metadata.finished:%Y-%m-%d %H:%M} UTC")


def calibration_agrees(statement: Statement, verdict: ReleaseVerdict, manifest: ArtifactManifest, where: str) -> Check:
    """Artifact, verdict and provenance name the same calibration samples."""
    known = calibration_of(manifest)
    said = {
        one.name.removeprefix("calibration/"): one.sha256
        for one in statement.predicate.definition.dependencies
        if one.name.startswith("calibration/")
    }
    for who, digests in (("verdict", verdict.calibration), ("provenance", said)):
        if digests != known:
            name = sorted({name for name, _ in set(digests.items()) ^ set(known.items())})[0]
            _refuse(
                f"the {who} gives the calibration samples of {name} as {digests.get(name, 'none')[:12]}, "
                f"and the artifact was calibrated on {known.get(name, 'none')[:12]}",
                where,
            )
    shown = ", ".join(f"{name} on {digest[:12]}" for name, digest in sorted(known.items()))
    return Check("calibration", shown or "no pass looked at calibration samples")


def bill_is_of(page: bytes, verdict: ReleaseVerdict, artifact_digest: str, where: str) -> Check:
    """The bill of materials is CycloneDX 1.6 and of this artifact."""
    bill = _json(page, BOM, where)
    component = bill.get("metadata", {}).get("component", {}) if isinstance(bill.get("metadata"), dict) else {}
    hashes = component.get("hashes") if isinstance(component, dict) else None
    digests = [one.get("content") for one in hashes if isinstance(one, dict)] if isinstance(hashes, list) else []
    if (bill.get("bomFormat"), bill.get("specVersion")) != ("CycloneDX", "1.6"):
        _refuse(f"{BOM} is no CycloneDX 1.6", where)
    if digests != [artifact_digest] or component.get("name") != verdict.model:
        _refuse(f"{BOM} is not of this artifact", where)
    return Check("bill of materials", f"CycloneDX 1.6, of {verdict.model} {artifact_digest[:12]}")


def reference_is_of(page: bytes, artifact_digest: str, where: str) -> Check:
    """The sketches that drift is held against are this artifact's."""
    model = _json(page, REFERENCE, where).get("model")
    if model != artifact_digest:
        _refuse(f"{REFERENCE} is of artifact {model!r:.40}, and the bundle holds {artifact_digest[:12]}", where)
    return Check("reference", f"for drift, of {artifact_digest[:12]}")


def _manifest(page: bytes, where: str) -> ArtifactManifest:
    content = _json(page, MANIFEST, where)
    if content.get("type") != Artifact.__name__:
        _refuse(f"{MANIFEST} is of a {content.get('type')!r:.40}, not of an artifact", where)
    return _model(ArtifactManifest, content.get("facts"), MANIFEST, where)


def _files(page: bytes, where: str) -> dict[str, str]:
    files = _json(page, MANIFEST, where).get("files")
    if not isinstance(files, dict) or not all(isinstance(digest, str) for digest in files.values()):
        _refuse(f"{MANIFEST} names no files", where)
    return files


def _page(kind: type[PageT], page: bytes, name: str, where: str) -> PageT:
    return _model(kind, _json(page, name, where), name, where)


def _model(kind: type[PageT], value: object, name: str, where: str) -> PageT:
    try:
        return kind.model_validate_json(json.dumps(value))  # through text, where lists are what tuples are written as
    except RecursionError:
        _refuse(f"{name} is nested too deeply", where)
    except ValidationError as error:
        first = error.errors()[0]
        _refuse(f"{name} does not hold what it should: {'.'.join(map(str, first['loc']))}: {first['msg']}", where)


def _json(page: bytes, name: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(page)
    except (ValueError, RecursionError):
        _refuse(f"{name} is not JSON", where)
    if not isinstance(value, dict):
        _refuse(f"{name} is not a JSON object", where)
    return value


def _refuse(what: str, where: str) -> NoReturn:
    raise StoreError(plain(what)[:500], where=where, to_do=_REFUSE)
