# SPDX-License-Identifier: Apache-2.0
"""The history of one model in a registry: read, added to, mirrored, and the aliases set to what it says.

Two promoters need no lock: both may write, the registry's numbers say who was first, and each reads again what came of it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgewright.errors import ConfigError, GateRefused, StoreError, nearest
from edgewright.promotion.chain import Chain, read_chain
from edgewright.promotion.entry import Action, Entry, VerdictRef, hash_of, now, payload, signed, who_signs
from edgewright.promotion.policy import Policy, require_allowed
from edgewright.registry import Champion, Kept, Registry, Tracker
from edgewright.report.atomic import write_text

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

Alias = Literal["champion", "rollback"]
ALIASES: tuple[Alias, ...] = ("rollback", "champion")


@dataclass(frozen=True)
class Change:
    """What an entry is to say."""

    what: Action
    champion: Champion
    verdict: VerdictRef
    why: str
    overruled: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ledger:
    """The history of one registered model."""

    model: str
    registry: Registry
    policy: Policy
    mirror: Path
    """File with a copy of every entry, one a line."""

    @classmethod
    def of(cls, model: str, tracker: Tracker, policy: Policy, output: Path) -> "Ledger":
        """Find the history of a model; its mirror lies beside a local store, or else in the output folder."""
        return cls(model, tracker.registry, policy, (tracker.folder or output) / "history" / f"{model}.jsonl")

    def look(self) -> Chain:
        """Read the history, with all that is wrong with it."""
        return read_chain(self.model, self.registry.history(self.model), self.policy, _read_mirror(self.mirror))

    def read(self) -> Chain:
        """Read a history that can be trusted.

        Raises:
            StoreError: an entry was changed, is missing, or was signed by a key that is not trusted.
        """
        chain = self.look()
        if chain.problems:
            raise StoreError(
                f"the history of {self.model} cannot be trusted: {chain.problems[0]}",
                where=f"{self.model}.history in the registry; mirror {self.mirror}",
                to_do=f"edgewright history {self.model} --verify tells all; restore the registry from a copy, "
                "or name the key that signed in policy.yaml",
            )
        return chain

    def version(self, which: str) -> str:
        """Return the version that is meant by 'champion', 'rollback' or its own number.

        Raises:
            StoreError: the model has no such champion.
            ConfigError: it is none of these.
        """
        if which.isdecimal():
            return which
        if which not in ALIASES:
            raise ConfigError(
                f"{which!r} is no version of {self.model}; {nearest(which, ALIASES)}", to_do="or give a number, such as 3"
            )
        chain = self.read()
        found = chain.champion if which == "champion" else chain.rollback
        if found is None:
            raise StoreError(
                f"{self.model} has no {which}",
                where=f"history of {self.model}",
                to_do=f"edgewright history {self.model} shows what there is",
            )
        return found.version

    def append(self, chain: Chain, change: Change, signer: "Signer") -> Chain:
        """Sign an entry and add it to the history, as the next one after what ``chain`` was read from.

        Raises:
            GateRefused: the policy does not allow it, or another promotion was faster.
        """
        who, when = who_signs(signer), now()
        require_allowed(self.policy, who.key_id, change.what, self.model, when)
        entry = Entry(
            model=self.model,
            sequence=chain.numbers + 1,
            previous=chain.head,
            when=when,
            who=who,
            what=change.what,
            version=change.champion.version,
            digest=change.champion.digest,
            verdict=change.verdict,
            why=change.why,
            overruled=change.overruled,
        )
        summary = f"{change.what} version {entry.version}, by {who.name} with key {who.key_id[:12]}: {change.why}"
        number = self.registry.append(self.model, signed(entry, signer), entry.version, summary)
        after = self.read()
        own = hash_of(payload(entry))
        if any(link.hash == own for link in after.valid):  # also where a request was repeated, and this number is void
            return after
        faster = "; ".join(
            f"{link.entry.who.name} made version {link.entry.version} champion"
            for link in after.valid
            if link.number >= entry.sequence
        )
        raise GateRefused(
            f"another promotion of {self.model} was faster: {faster}",
            where=f"entry {number} of {self.model}.history, which is void",
            to_do=f"edgewright history {self.model}; then decide again",
        )

    def misplaced(self, chain: Chain) -> list[str]:
        """Say which aliases are not where the history has them: someone moved them, or a promotion was interrupted."""
        if not chain.valid:
            return []
        found = {alias: self.registry.alias(self.model, alias) for alias in ALIASES}
        return [
            f"alias {alias!r} of {self.model} is on version {found[alias] or 'none'}, and the history says {wanted or 'none'}"
            for alias, wanted in _wanted(chain).items()
            if found[alias] != wanted
        ]

    def settle(self) -> Chain:
        """Set the aliases to what the history says, and bring the mirror up to date.

        Where the history grows meanwhile, all is done again, so that the last word is the newest history's.
        """
        while True:
            chain = self.read()
            for alias, version in _wanted(chain).items():
                if chain.valid and self.registry.alias(self.model, alias) != version:
                    self.registry.set_alias(self.model, alias, version)
            kept = self.registry.history(self.model)
            if len(kept) == chain.numbers:
                _write_mirror(self.mirror, kept)
                return chain


def _wanted(chain: Chain) -> dict[Alias, str | None]:
    """The version of each alias; rollback first: whoever is killed between the two leaves the old champion, and not none."""
    return {
        "rollback": chain.rollback.version if chain.rollback else None,
        "champion": chain.champion.version if chain.champion else None,
    }


def _read_mirror(file: Path) -> dict[int, str]:
    if not file.is_file():
        return {}
    try:
        kept = [Kept.model_validate_json(line) for line in file.read_bytes().splitlines()]
        return {each.number: each.envelope for each in kept}
    except (OSError, ValueError) as error:
        raise StoreError(
            "the mirror of a history cannot be read",
            where=str(file),
            to_do="move it away once the registry's own history is known to be right; it is written anew",
        ) from error


def _write_mirror(file: Path, kept: list[Kept]) -> None:
    text = "".join(each.model_dump_json() + "\n" for each in kept)
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        write_text(file, text)
