# SPDX-License-Identifier: Apache-2.0
"""What a finished release offers for promotion, and what speaks against it. Integrity is required; doubts can be overridden."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from edgewright.artifact import Artifact
from edgewright.errors import ConfigError, StoreError, nearest
from edgewright.promotion.policy import Policy
from edgewright.registry import Champion, Tracker
from edgewright.report import release_json
from edgewright.report.facts import ReleaseFacts, TargetFacts
from edgewright.trust.signed import SUFFIX
from edgewright.trust.verdict import verdict_of
from edgewright.trust.verify import checked

if TYPE_CHECKING:
    from securesystemslib.signer import Key

REFUSED = "refused"
"""Folder, beside artifacts/, of what was judged last for targets that were not promoted."""
REFERENCE_SUFFIX = ".reference.json"
"""Of the sketches of the training data, beside what the gate refused: an override signs them with it."""


@dataclass(frozen=True)
class Offer:
    """One target's artifact, and the release with the verdict on it."""

    facts: ReleaseFacts
    target: TargetFacts
    artifact: Artifact

    @property
    def model(self) -> str:
        """Name under which it is registered."""
        return self.target.model

    @property
    def bundle(self) -> Path:
        """Where its signed bundle lies: beside the artifact."""
        return self.artifact.path.with_name(f"{self.target.name}{SUFFIX}")

    @property
    def tags(self) -> dict[str, str]:
        """Tags of its version."""
        return {"release": self.facts.release, "target": self.target.name}


class Recorded(NamedTuple):
    """The record of a release, and the tags by which the signed bundle of one of its targets is found."""

    run_id: str
    digest: str
    """Of the release's facts, by which the record is found."""
    tags: dict[str, str]


def facts_in(path: Path) -> tuple[ReleaseFacts, str, Path]:
    """Read the facts of a release from its folder or its release.json; return them, their digest and the folder.

    Raises:
        StoreError: there are none.
    """
    record = path / "release.json" if path.is_dir() else path
    if not record.is_file() or record.suffix != ".json":
        raise StoreError(
            "this is no finished release: it has no release.json",
            where=str(path),
            to_do="name the folder that a release wrote, <output>/<name>, such as edgewright-out/digits",
        )
    return *release_json.read_with_digest(record), record.absolute().parent


def target_in(facts: ReleaseFacts, name: str | None) -> TargetFacts:
    """Find a target by its name; without a name, the only one.

    Raises:
        ConfigError: there is none of this name, or there are several.
    """
    names = [target.name for target in facts.targets]
    if name is None and len(names) == 1:
        return facts.targets[0]
    if name not in names:
        what = f"the release has no target {name!r}; {nearest(name, names)}" if name else "the release has several targets"
        raise ConfigError(what, where=f"release {facts.release}", to_do=f"--target with one of: {', '.join(names)}")
    return facts.targets[names.index(name)]


def offer_of(
    facts: ReleaseFacts, digest: str, folder: Path, target: TargetFacts, tracker: Tracker, trusted: "Sequence[Key]"
) -> tuple[Offer, Recorded]:
    """Find what a release made for a target, whole, as it was judged and signed, and where the release is recorded.

    Raises:
        StoreError: the artifact is missing, changed, or another one than was judged; or the release was changed since it
            was recorded; or it passed, and none of the trusted keys signed it with this verdict.
    """
    again = "release again; what is unchanged is not done twice"
    run_id = tracker.recorded(digest)
    if run_id is None:
        raise StoreError(
            "this release.json was never recorded, or was changed since: its verdict cannot be trusted",
            where=str(folder / "release.json"),
            to_do=again,
        )
    places = (folder / "artifacts" / target.name, folder / REFUSED / target.name)
    path = places[0] if target.outcome == "pass" and places[0].is_dir() else places[1]
    if not path.is_dir():
        raise StoreError(f"the release holds nothing to promote for target {target.name!r}", where=str(path), to_do=again)
    artifact = Artifact.open(path)
    if artifact.digest not in judged_in(target):
        raise StoreError(
            f"the artifact of target {target.name!r} ({artifact.digest[:12]}) is not the one that was judged",
            where=str(path),
            to_do=again,
        )
    offer, tags = Offer(facts, target, artifact), {}
    if target.outcome == "pass":  # what the gate refused is signed by whoever overrides that
        key = _require_signed(offer, trusted)
        tags = tracker.keep_bundle(run_id, artifact, offer.bundle) | {"edgewright.key": key}
    return offer, Recorded(run_id, digest, tags)


def _require_signed(offer: Offer, trusted: "Sequence[Key]") -> str:
    """Make sure that the bundle is signed, and of this artifact and verdict; return the id of the key that signed."""
    found, digest = checked(offer.bundle, trusted), offer.artifact.digest
    if found.artifact_digest != digest or found.verdict != verdict_of(offer.facts, offer.target, digest):
        raise StoreError(
            f"the signed bundle of target {offer.target.name!r} is of another artifact or verdict than the release",
            where=str(offer.bundle),
            to_do="release again; what is unchanged is not done twice",
        )
    return found.key


def judged_in(target: TargetFacts) -> set[str]:
    """Digests of the artifacts that the verdict is about: the one that passed, or those that the gate refused."""
    if target.passed_rung is not None:
        return {target.rungs[target.passed_rung].artifact_digest or ""}
    return {rung.artifact_digest for rung in target.rungs if rung.gate and rung.artifact_digest}


def doubts(offer: Offer, champion: Champion | None, policy: Policy, tracker: Tracker, now: datetime) -> tuple[str, ...]:
    """Say what speaks against promoting it: the verdict, another champion since, data or code that are too old."""
    return tuple(_doubts(offer, champion, policy, tracker, now))


def _doubts(offer: Offer, champion: Champion | None, policy: Policy, tracker: Tracker, now: datetime) -> Iterator[str]:
    target = offer.target
    if target.outcome != "pass":
        reasons = [reason for rung in target.rungs if rung.artifact_digest == offer.artifact.digest for reason in rung.reasons]
        yield ": ".join([f"the verdict is {target.outcome}", *([" ".join(reasons)] if reasons else [])])
    found = champion.digest if champion else None
    if found not in (target.champion_before, offer.artifact.digest):
        now_is = f"its champion is version {champion.version}" if champion else "it has no champion"
        yield f"{now_is} by now, and the verdict was made against {'another one' if target.champion_before else 'none'}"
    yield from stale(offer.facts, policy, tracker, now)


def stale(facts: ReleaseFacts, policy: Policy, tracker: Tracker, now: datetime) -> Iterator[str]:
    """Say whether the verdict was made on older data or code than the policy allows."""
    limits: tuple[tuple[Literal["data", "code"], str, float | None], ...] = (
        ("data", facts.data_digest, policy.max_data_age_days),
        ("code", facts.code_digest, policy.max_code_age_days),
    )
    for what, digest, days in limits:
        if days is None:
            continue
        since = tracker.first_used(what, digest)
        if since is not None and now - since > timedelta(days=days):
            yield f"its {what} is in use since {since:%Y-%m-%d}, and the policy allows {days:g} days"
