# SPDX-License-Identifier: Apache-2.0
"""Recorded releases to promote, and a link to a server that can be cut."""

import contextlib
import socket
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from histories import key
from tracked_releases import connected, make_artifact, make_facts

from edgewright.config import ReleaseConfig, Signing
from edgewright.promotion.chain import Chain
from edgewright.promotion.ledger import Ledger
from edgewright.promotion.place import Place
from edgewright.promotion.policy import OpenPolicy, Policy
from edgewright.promotion.promote import Done, promote
from edgewright.promotion.release import REFUSED, Offer, Recorded
from edgewright.report import release_json
from edgewright.report.facts import ReleaseFacts
from edgewright.trust.release import sign_target
from edgewright.trust.signed import SUFFIX


@dataclass
class Shop:
    """A store, and releases of one model that are recorded in it."""

    uri: str
    folder: Path
    name: str = "digits"
    policy: Policy = OpenPolicy()  # noqa: RUF009 - immutable
    key_name: str = "release"

    @cached_property
    def place(self) -> Place:
        """The store, connected."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return Place(connected(self.uri), self.policy, self.folder, Signing(key=key(self.folder, self.key_name)))

    def with_policy(self, policy: Policy, key_name: str = "release") -> "Shop":
        """The same store under another policy, and another signer."""
        return Shop(self.uri, self.folder, self.name, policy, key_name)

    @property
    def model(self) -> str:
        return f"{self.name}-phone"

    @property
    def ledger(self) -> Ledger:
        return self.place.ledger(self.model)

    def look(self) -> Chain:
        return self.ledger.look()

    def alias(self, name: Any = "champion") -> str | None:
        return self.place.tracker.registry.alias(self.model, name)

    def release(self, content: str, before: Offer | None = None, **changes: Any) -> tuple[Offer, Recorded]:
        """Record a release whose artifact holds the content; ``changes`` are of the target's facts."""
        folder = self.folder / self.name / content
        artifact = make_artifact(
            folder / ("artifacts" if changes.get("outcome", "pass") == "pass" else REFUSED) / "phone", content.encode()
        )
        facts = self._facts(artifact, **{"champion_before": before.artifact.digest if before else None} | changes)
        release_json.write(facts, folder / "release.json")
        (folder / "report.html").write_text("a report")
        passed = {} if facts.refused else {"phone": artifact}
        tracker, target, bundle = self.place.tracker, facts.targets[0], artifact.path.with_name(f"phone{SUFFIX}")
        digest = release_json.digest_of(facts)
        run_id = tracker.record(facts, digest, folder, passed)
        if passed:
            sign_target(facts, target, artifact, run_id, tracker.recorded_at(run_id), self.place.signer, bundle)
        tags = tracker.keep_bundle(run_id, artifact, bundle) if passed else {}
        return Offer(facts, target, artifact), Recorded(run_id, digest, tags)

    def folder_of(self, offer: Offer) -> Path:
        """Where the release wrote."""
        return offer.artifact.path.parent.parent

    def _facts(self, artifact: Any, **changes: Any) -> ReleaseFacts:
        facts = make_facts(artifact)
        passed = facts.targets[0].rungs[1]
        few = {"rungs": (passed,), "passed_rung": 0, "model": self.model}
        target = facts.targets[0].model_copy(update=few | changes)
        config = ReleaseConfig.model_validate(
            {
                "name": self.name,
                "targets": [{"name": "phone", "runtime": "null"}],
                "tracking": {"uri": None if "secret@" in self.uri else self.uri, "experiment": "edge"},
                "output": str(self.folder),
            }
        )
        candidate = facts.candidate.model_copy(update={"history": ()})  # little to record is recorded quickly
        few = {"config": config.model_dump(mode="json", exclude_defaults=True), "candidate": candidate}
        return facts.model_copy(update={"release": self.name, "targets": (target,), **few})

    def promote(self, offered: tuple[Offer, Recorded], reason: str = "", **options: Any) -> Done:
        place = self.place
        return promote(*offered, place.tracker, self.ledger, place.signer, reason, **options)

    def two(self) -> tuple[tuple[Offer, Recorded], tuple[Offer, Recorded]]:
        """Two champions, one after the other."""
        first = self.release("first")
        self.promote(first)
        second = self.release("second", before=first[0])
        self.promote(second)
        return first, second


class Line:
    """A line to a server that can be cut: what goes in at its own port comes out at the server's."""

    def __init__(self, uri: str) -> None:
        self._server = urlsplit(uri)
        self._door = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.uri = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._let_in, daemon=True).start()

    def cut(self) -> None:
        """Nothing comes through from now on, and nobody is let in."""
        for end in [self._door, *self._open]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _let_in(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._door.accept()
                far = socket.create_connection((str(self._server.hostname), int(self._server.port or 80)))
                self._open += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=_carry, args=pair, daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while some := source.recv(65536):
            sink.sendall(some)
        sink.shutdown(socket.SHUT_WR)
