# SPDX-License-Identifier: Apache-2.0
"""Where a release keeps its history: the store, the policy, the key that signs, and the folder of mirrors."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.config.release import ReleaseConfig, Signing, Tracking
from edgewright.errors import StoreError, nearest
from edgewright.plugins import create
from edgewright.promotion.entry import now
from edgewright.promotion.ledger import Ledger
from edgewright.promotion.policy import Policy, load_policy, require_allowed
from edgewright.promotion.release import Offer, Recorded, facts_in, offer_of, target_in
from edgewright.registry import Tracker, require_store, store_uri
from edgewright.trust.keys import signer_for, told_key

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signer


@dataclass(frozen=True)
class Place:
    """The store, connected, with all that promotion needs beside it."""

    tracker: Tracker
    policy: Policy
    output: Path
    signing: Signing

    @classmethod
    def of(cls, config: ReleaseConfig) -> "Place":
        """Connect to where a release is recorded.

        Raises:
            StoreError: the store cannot be reached.
            ConfigError: the policy is wrong.
        """
        return cls.at(config.tracking, config.signing, Path(config.output))

    @classmethod
    def at(cls, tracking: Tracking, signing: Signing, output: Path) -> "Place":
        """Connect to a store; where it is left out, to the one in the output folder.

        Raises:
            StoreError: it is not there, or cannot be reached.
            ConfigError: the policy is wrong.
        """
        policy, uri = policy_of(tracking), store_uri(tracking, output)
        require_store(uri)
        tracker: Tracker = create("services", "mlflow")
        tracker.connect(uri, tracking.experiment)
        return cls(tracker, policy, output, signing)

    @cached_property
    def signer(self) -> "Signer":
        """The key that signs entries.

        Raises:
            StoreError: it cannot be read.
        """
        return signer_for(self.signing)

    def trusted(self, model: str) -> "list[Key]":
        """Public keys whose bundles are promoted: those of the policy; without one, one's own and those in the history.

        Raises:
            StoreError: a key cannot be read, or the history cannot be trusted.
        """
        listed = list(self.policy.trusted())
        if listed:
            return listed
        signed = {link.entry.who.key_id: link.entry.who for link in self.ledger(model).read().valid}
        return [self.signer.public_key, *(told_key(who.key_id, who.public_key, model) for who in signed.values())]

    def require_history(self, model: str) -> None:
        """Make sure that a model has a history.

        Raises:
            StoreError: it has none; the message names those that have.
        """
        known = self.tracker.registry.histories()
        if model not in known:
            raise StoreError(
                f"there is no history of {model}; " + (nearest(model, known) if known else "nothing was promoted yet"),
                where=self.tracker.shown,
                to_do="name a registered model, <release>-<target>, and with --config the store that it is in",
            )

    def ledger(self, model: str) -> Ledger:
        """Find the history of a model."""
        return Ledger.of(model, self.tracker, self.policy, self.output)


def policy_of(tracking: Tracking) -> Policy:
    """Read the policy that a configuration names; the open one where it names none.

    Raises:
        ConfigError: all problems of the file, each with its line.
    """
    return load_policy(Path(tracking.policy) if tracking.policy else None)


def require_promoter(config: ReleaseConfig) -> None:
    """Make sure that the configuration's key may promote every target.

    Raises:
        GateRefused: the policy does not allow it.
    """
    policy, key = policy_of(config.tracking), signer_for(config.signing).public_key
    for target in config.targets:
        require_allowed(policy, key.keyid, "promote", f"{config.name}-{target.name}", now())


def offered(release: Path, target: str | None, config: ReleaseConfig | None = None) -> tuple[Place, Offer, Recorded]:
    """Find what a finished release offers for a target, and the store that it was recorded in.

    Args:
        release: its folder, or the release.json in it.
        target: name of the target; None where it is the only one.
        config: whose store, policy and key apply; None: the release's own.

    Raises:
        StoreError: the release is not what was recorded, judged and signed.
        ConfigError: there is no such target.
    """
    facts, digest, folder = facts_in(release)
    place = Place.of(config or ReleaseConfig.model_validate(facts.config))
    wanted = target_in(facts, target)
    return place, *offer_of(facts, digest, folder, wanted, place.tracker, place.trusted(wanted.model))
