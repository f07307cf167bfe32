# SPDX-License-Identifier: Apache-2.0
"""Keys, policies, and histories as a registry would keep them, without a registry."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from edgewright.promotion.entry import Entry, VerdictRef, Who, hash_of, now, payload, signed
from edgewright.registry import Kept
from edgewright.trust.keys import make_key

if TYPE_CHECKING:
    from securesystemslib.signer import Signer


def key(folder: Path, name: str) -> str:
    """Name of a key in the folder, made on first use."""
    private = folder / f"{name}.pem"
    if not private.exists():
        make_key(private)
    return f"file:{private}"


def write_policy(folder: Path, may: Sequence[dict[str, Any]], **more: Any) -> Path:
    """Write a policy.yaml that lists every key in the folder."""
    file = folder / "policy.yaml"
    keys = {public.stem: public.name for public in sorted(folder.glob("*.pub"))}
    file.write_text(yaml.safe_dump({"keys": keys, "may": list(may), **more}))
    return file


class Book:
    """Entries as a registry would keep them, without one."""

    def __init__(self, signer: "Signer", model: str = "digits-phone") -> None:
        self.signer, self.model, self.kept = signer, model, list[Kept]()
        self.head, self.numbers = "", 0

    def write(
        self, what: str, version: int, *, at: int = 0, head: str | None = None, signer: Any = None, **changes: Any
    ) -> str:
        """Write one entry; ``at`` and ``head`` are the number and the entry it believes to follow. Return its hash."""
        signer, self.numbers = signer or self.signer, self.numbers + 1
        public = signer.public_key
        entry = Entry(
            model=self.model,
            sequence=at or self.numbers,
            previous=self.head if head is None else head,
            when=now(),
            who=Who(name="somebody", key_id=public.keyid, public_key=public.to_dict()),
            what=what,
            version=str(version),
            digest=f"{version}" * 64,
            verdict=VerdictRef(run_id="run", release="r" * 64, outcome="pass"),
            why="because",
        ).model_copy(update=changes)
        self.kept.append(Kept(number=self.numbers, envelope=signed(entry, signer)))
        own = hash_of(payload(entry))
        if at in (0, self.numbers):
            self.head = own
        return own

    def replaced(self, number: int, envelope: str) -> list[Kept]:
        """The entries, with another envelope at one number."""
        return [each.model_copy(update={"envelope": envelope}) if each.number == number else each for each in self.kept]
