# SPDX-License-Identifier: Apache-2.0
"""A drill: promote and roll back (or back and forth, where the artifact is champion already), and see what clients see.

A client asks for the champion all the while, as a device's updater would. It has to be given the old or the new artifact at
every moment, whole, and never none.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import Field

from edgewright.errors import EdgewrightError, GateRefused, StoreError
from edgewright.measure import Frozen
from edgewright.promotion.entry import now
from edgewright.promotion.place import Place
from edgewright.promotion.policy import require_allowed
from edgewright.promotion.promote import promote, roll_back
from edgewright.promotion.release import Offer, Recorded, doubts
from edgewright.registry import Champion, Registry

REASON = "drill"


class Move(Frozen):
    """One promotion or rollback of a drill."""

    what: str
    version: str = Field(description="The champion after it.")
    seconds: float = Field(description="From the command until it was through.")
    seen_after_s: float = Field(description="From the command until a client that asked was first given the new champion.")
    fetched: str = Field(description="Digest of the artifact that was then fetched by the alias, and verified.")


class DrillFacts(Frozen):
    """What a drill found."""

    model: str
    champion: str = Field(description="Version that was champion before the drill, and is after it.")
    moves: tuple[Move, Move]
    asked: int = Field(description="How often a client asked for the champion meanwhile; each time it was given one.")


def drill(offer: Offer, recorded: Recorded, place: Place) -> DrillFacts:
    """Promote and roll back, or roll back and promote where the offer is champion already; leave the champion as it was.

    Raises:
        GateRefused: there is nothing to go back to, something speaks against the artifact, or the policy forbids it.
        StoreError: a client was given none, or something else than the old or the new champion.
    """
    ledger, tracker, model = place.ledger(offer.model), place.tracker, offer.model
    chain = ledger.settle()
    is_champion = chain.champion is not None and chain.champion.digest == offer.artifact.digest
    other = chain.rollback if is_champion else chain.champion
    if chain.champion is None or other is None:
        raise GateRefused(
            f"{model} has no champion to go back to, so that nothing can be rehearsed",
            where=f"history of {model}",
            to_do="promote a second version first",
        )
    against = doubts(offer, other, place.policy, tracker, now())
    if against:
        raise GateRefused(
            f"{model} would not be promoted in a drill: {'; '.join(against)}",
            where=f"history of {model}",
            to_do="drill with a release that could be promoted now, such as the champion's own",
        )
    for what in ("promote", "rollback"):
        require_allowed(place.policy, place.signer.public_key.keyid, what, model, now())

    moves: list[tuple[str, Callable[[], object], str]] = [
        ("promote", lambda: promote(offer, recorded, tracker, ledger, place.signer, REASON), offer.artifact.digest),
        ("rollback", lambda: roll_back(ledger, place.signer, REASON), other.digest),
    ]
    if is_champion:
        moves.reverse()
    with _Client(model, tracker.registry, {offer.artifact.digest, other.digest}) as client:
        first, second = (_move(client, *each) for each in moves)
    return DrillFacts(model=model, champion=chain.champion.version, moves=(first, second), asked=client.asked)


def _move(client: "_Client", what: str, act: Callable[[], object], expected: str) -> Move:
    started = time.monotonic()
    act()
    through = time.monotonic() - started
    champion, seen = client.wait_for(expected)
    with TemporaryDirectory(prefix="edgewright-drill-") as folder:
        fetched = client.registry.fetch(champion, Path(folder) / "artifact")
    return Move(what=what, version=champion.version, seconds=through, seen_after_s=seen - started, fetched=fetched.digest)


@dataclass
class _Client:
    """Asks for the champion without a pause, in a thread of its own."""

    model: str
    registry: Registry
    allowed: set[str]
    asked: int = 0
    _wrong: str = ""
    _seen: tuple[Champion, float] | None = None
    """What was given last, and since when."""
    _news: threading.Condition = field(default_factory=threading.Condition)
    _over: bool = False

    def __enter__(self) -> "_Client":
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._thread.join()
        self._check()

    def wait_for(self, digest: str) -> tuple[Champion, float]:
        """Wait until it is given this artifact; return the champion and when it first was.

        Raises:
            StoreError: it was given none, or another artifact.
        """
        with self._news:
            self._news.wait_for(lambda: self._wrong or (self._seen and self._seen[0].digest == digest))
        self._check()
        assert self._seen is not None, "it was waited for"  # noqa: S101
        return self._seen

    def _ask(self) -> None:
        while not self._over and not self._wrong:
            wrong, champion = "", None
            try:
                champion = self.registry.champion(self.model)
            except EdgewrightError as error:
                wrong = error.what
            if champion is None:
                wrong = wrong or "it was given none"
            elif champion.digest not in self.allowed:
                wrong = f"it was given version {champion.version}, which is neither the old nor the new champion"
            with self._news:
                self.asked, self._wrong = self.asked + 1, wrong
                if champion and (self._seen is None or self._seen[0] != champion):
                    self._seen = champion, time.monotonic()
                self._news.notify_all()

    def _check(self) -> None:
        if self._wrong:
            raise StoreError(
                f"a client asked for the champion of {self.model} during the drill, and failed: {self._wrong}",
                where=f"alias 'champion' of {self.model}",
                to_do=f"edgewright history {self.model} --repair",
            )
