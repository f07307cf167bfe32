# SPDX-License-Identifier: Apache-2.0
"""Promotion and rollback: the one way to a champion, for releases, the command line and the pipeline alike."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgewright.errors import ConfigError, GateRefused
from edgewright.promotion.chain import Chain
from edgewright.promotion.entry import Action, VerdictRef, now
from edgewright.promotion.ledger import Change, Ledger
from edgewright.promotion.policy import require_allowed
from edgewright.promotion.release import REFERENCE_SUFFIX, Offer, Recorded, doubts
from edgewright.registry import Champion, Tracker
from edgewright.trust.release import sign_target
from edgewright.trust.verdict import Override

if TYPE_CHECKING:
    from securesystemslib.signer import Signer


@dataclass(frozen=True)
class Done:
    """What a promotion or rollback came to."""

    champion: Champion
    before: Champion | None
    repaired: tuple[str, ...]
    """Aliases that were not where the history had them, and are again."""
    overruled: tuple[str, ...] = ()
    bundle: Path | None = None
    """Of an override of the gate's verdict: the bundle that was signed, which says so."""

    @property
    def changed(self) -> bool:
        """Whether there is a new champion; promoting what is champion already changes nothing."""
        return self.before != self.champion


class Weighed(NamedTuple):
    """A decision to promote: the history it was made on, as what, and what was overruled."""

    chain: Chain
    what: Action
    against: tuple[str, ...]


def weigh(
    offer: Offer, tracker: Tracker, ledger: Ledger, signer: "Signer", reason: str = "", *, override: bool = False
) -> Weighed:
    """Decide whether an artifact may become champion: nothing speaks against it, or all of that is overridden.

    Raises:
        GateRefused: something speaks against it, or the policy forbids it.
        ConfigError: an override without a reason.
    """
    if override and not reason.strip():
        raise ConfigError("an override needs a reason", where=offer.model, to_do="say why: --reason '…'")
    chain = ledger.read()
    against = doubts(offer, chain.champion, ledger.policy, tracker, now())
    what: Action = "override" if against and override else "promote"
    require_allowed(ledger.policy, signer.public_key.keyid, what, offer.model, now())
    if against and not override:
        raise GateRefused(
            f"{offer.model} is not promoted: {'; '.join(against)}",
            where=f"alias 'champion' of {offer.model}, which stays as it is",
            to_do="edgewright run, which judges against the present champion, on present data and code; or, where the policy "
            "lets your key do it, edgewright promote with --override --reason '…'",
        )
    return Weighed(chain, what, against)


def promote(
    offer: Offer,
    recorded: Recorded,
    tracker: Tracker,
    ledger: Ledger,
    signer: "Signer",
    reason: str = "",
    *,
    override: bool = False,
) -> Done:
    """Make an artifact the champion, where `weigh` lets it. Promoting what is champion already only sets the aliases right.

    Args:
        offer: the artifact and its verdict.
        recorded: where the release is recorded, and how its signed bundle is found.
        tracker: where it is recorded.
        ledger: history of its model.
        signer: signs the entry.
        reason: why; of an override, needed.
        override: go over what speaks against it.

    Raises:
        GateRefused: something speaks against it, the policy forbids it, or another promotion was faster.
        ConfigError: an override without a reason.
    """
    chain, what, against = weigh(offer, tracker, ledger, signer, reason, override=override)
    before, misplaced = chain.champion, tuple(ledger.misplaced(chain))
    version = tracker.registry.register(offer.model, offer.artifact, recorded.run_id, offer.tags | recorded.tags)
    if before is not None and before.digest == offer.artifact.digest:
        return Done(before, before, misplaced, bundle=_sign_override(offer, recorded, tracker, ledger.settle(), signer))
    champion = Champion(model=offer.model, version=version, digest=offer.artifact.digest, run=recorded.run_id)
    verdict = VerdictRef(run_id=recorded.run_id, release=recorded.digest, outcome=offer.target.outcome)
    why = reason.strip() or f"release {offer.facts.release} passed the gate"
    ledger.append(chain, Change(what, champion, verdict, why, against), signer)
    chain = ledger.settle()
    return Done(champion, before, misplaced, against, _sign_override(offer, recorded, tracker, chain, signer))


def _sign_override(offer: Offer, recorded: Recorded, tracker: Tracker, chain: Chain, signer: "Signer") -> Path | None:
    """Sign what was promoted although the gate did not pass it; the bundle says so, and who decided it. Done once.

    It is made of the history's entry, and so after it: what lost a race has none. Whoever overrode signs, and nobody else.
    """
    if offer.target.outcome == "pass":
        return None
    entry = next(link.entry for link in reversed(chain.valid) if link.entry.digest == offer.artifact.digest)
    if tracker.fetch_bundle(offer.model, entry.version, offer.bundle):
        return offer.bundle
    if entry.what != "override" or entry.who.key_id != signer.public_key.keyid:
        return None
    by = Override(who=entry.who.name, key=entry.who.key_id, when=entry.when, why=entry.why, overruled=entry.overruled)
    sketches = offer.bundle.with_suffix(REFERENCE_SUFFIX)
    reference = sketches.read_bytes() if sketches.is_file() else None
    finished = tracker.recorded_at(recorded.run_id)
    sign_target(offer.facts, offer.target, offer.artifact, recorded.run_id, finished, signer, offer.bundle, reference, by)
    tags = tracker.keep_bundle(recorded.run_id, offer.artifact, offer.bundle) | {"edgewright.key": entry.who.key_id}
    tracker.registry.register(offer.model, offer.artifact, recorded.run_id, tags)
    return offer.bundle


def roll_back(ledger: Ledger, signer: "Signer", reason: str = "") -> Done:
    """Make the champion before this one champion again.

    Raises:
        GateRefused: there was none before, the policy forbids it, or another promotion was faster.
    """
    chain = ledger.read()
    before, champion = chain.champion, chain.rollback
    if champion is None:
        raise GateRefused(
            f"{ledger.model} has no champion {'before this one' if before else 'yet'}",
            where=f"history of {ledger.model}",
            to_do=f"edgewright history {ledger.model} shows what there is",
        )
    misplaced = ledger.misplaced(chain)
    change = Change("rollback", champion, chain.champions[-2].verdict, reason.strip() or "rolled back")
    ledger.append(chain, change, signer)
    ledger.settle()
    return Done(champion, before, tuple(misplaced))
