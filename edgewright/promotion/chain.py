# SPDX-License-Identifier: Apache-2.0
"""The rules a history is read by: which entries are valid, which lost a race, what is wrong, and which champion follows.

Pure: what was kept in, what it says out. The registry gives each entry its number in one atomic step. An entry that was
written for that number and names the last valid entry before it is valid. One that was overtaken got a higher number than
it was written for, and is void. Everything else is a problem, and so is a number without an entry.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from edgewright.errors import StoreError
from edgewright.promotion.entry import PAYLOAD_TYPE, Entry, hash_of
from edgewright.promotion.policy import Policy
from edgewright.registry import Champion, Kept
from edgewright.trust.envelope import opened
from edgewright.trust.keys import told_key

if TYPE_CHECKING:
    from securesystemslib.signer import Key


class Link(NamedTuple):
    """An entry with the number it was given and the hash by which the next one names it."""

    number: int
    entry: Entry
    hash: str


@dataclass
class Chain:
    """What a history says."""

    model: str
    valid: list[Link] = field(default_factory=list)
    void: list[Link] = field(default_factory=list)
    """Entries that lost a race: signed by a known key, and without effect."""
    problems: list[str] = field(default_factory=list)
    """What is wrong with it; with any, neither champion nor rollback can be trusted."""
    disallowed: list[str] = field(default_factory=list)
    """Valid entries of a key that may not do, by the present policy, what it did."""
    champions: list[Entry] = field(default_factory=list)
    """Entries that made the champions, of which the last one is in use and a rollback takes one away."""
    numbers: int = 0
    """The highest number that was given out."""

    @property
    def champion(self) -> Champion | None:
        """What is in use."""
        return self._nth(1)

    @property
    def rollback(self) -> Champion | None:
        """The champion before it."""
        return self._nth(2)

    @property
    def head(self) -> str:
        """Hash of the last valid entry; empty before the first."""
        return self.valid[-1].hash if self.valid else ""

    def _nth(self, last: int) -> Champion | None:
        if len(self.champions) < last:
            return None
        entry = self.champions[-last]
        return Champion(model=self.model, version=entry.version, digest=entry.digest, run=entry.verdict.run_id)


def read_chain(model: str, kept: Iterable[Kept], policy: Policy, mirror: Mapping[int, str] | None = None) -> Chain:
    """Read a history by the rules.

    Args:
        model: whose history it is.
        kept: what the registry holds.
        policy: whose keys are trusted, and what they may do.
        mirror: number to envelope, as they were copied elsewhere: what is there has to be in the registry, unchanged.
    """
    chain, found, copies = Chain(model), {each.number: each.envelope for each in kept}, mirror or {}
    for number in sorted({*found, *copies}):
        if number > chain.numbers + 1:
            chain.problems.append(_gap(chain.numbers + 1, number - 1))
        chain.numbers, copy = number, copies.get(number)
        if number not in found:
            chain.problems.append(f"entry {number} is missing (the mirror holds a copy)")
        elif copy is not None and copy != found[number]:
            chain.problems.append(f"entry {number} is not what the mirror holds")
        else:
            _read(chain, number, found[number], policy)
    return chain


def _gap(first: int, last: int) -> str:
    return f"entry {first} is missing" if first == last else f"entries {first} to {last} are missing"


def _read(chain: Chain, number: int, envelope: str, policy: Policy) -> None:
    try:
        link = _opened(number, envelope, policy)
    except StoreError as error:
        chain.problems.append(f"entry {number}: {error.what}")
        return
    entry = link.entry
    if entry.model != chain.model:
        chain.problems.append(f"entry {number} belongs to the history of {entry.model}")
    elif entry.sequence == number and entry.previous == chain.head:
        _take(chain, link, policy)
    elif entry.sequence < number and entry.previous == _head_before(chain, entry.sequence):
        chain.void.append(link)
    else:
        chain.problems.append(f"entry {number} does not follow the entries before it: one was changed, left out or moved")


def _take(chain: Chain, link: Link, policy: Policy) -> None:
    """Let a valid entry have its effect."""
    entry = link.entry
    if entry.what == "rollback":
        if chain.rollback is None or (chain.rollback.version, chain.rollback.digest) != (entry.version, entry.digest):
            chain.problems.append(f"entry {link.number} rolls back to version {entry.version}, which was not champion before")
            return
        chain.champions.pop()
    else:
        chain.champions.append(entry)
    chain.valid.append(link)
    if not policy.allows(entry.who.key_id, entry.what, chain.model, entry.when):
        who = policy.name_of(entry.who.key_id) or entry.who.key_id[:12]
        chain.disallowed.append(f"entry {link.number}: by the present policy, key {who} may not do this ({entry.what})")


def _head_before(chain: Chain, number: int) -> str:
    return next((link.hash for link in reversed(chain.valid) if link.number < number), "")


def _opened(number: int, envelope: str, policy: Policy) -> Link:
    """Check one envelope's signature and read its entry.

    Raises:
        StoreError: it is no entry, or none of the trusted keys signed it.
    """
    where = f"entry {number}"
    content, key = opened(envelope.encode(), PAYLOAD_TYPE, policy.trusted() or [_claimed_key(envelope, where)], where)
    try:
        entry = Entry.model_validate_json(content)
    except ValueError as error:
        raise StoreError("it is signed, and no entry that this edgewright reads", where=where) from error
    if entry.who.key_id != key.keyid:
        raise StoreError("it names another key than the one that signed it", where=where)
    return Link(number, entry, hash_of(content))


def _claimed_key(envelope: str, where: str) -> "Key":
    """Read the key that an entry brings, which is all there is to check it with where no policy lists keys."""
    try:
        who = Entry.model_validate_json(base64.b64decode(json.loads(envelope)["payload"])).who
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError("this is no signed entry", where=where) from error
    return told_key(who.key_id, who.public_key, where)
