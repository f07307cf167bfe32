# SPDX-License-Identifier: Apache-2.0
"""The tracker port: where runs are recorded and artifacts are registered and promoted."""

from abc import ABC, abstractmethod
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from edgewright.artifact import Artifact
from edgewright.errors import GateRefused
from edgewright.measure import Frozen

if TYPE_CHECKING:
    from edgewright.report.facts import ReleaseFacts


class Champion(Frozen):
    """What the alias 'champion' of a registered model points to."""

    model: str
    version: str
    digest: str
    """Digest of the artifact."""
    run: str = ""
    """Id of the recorded release that its signed bundle speaks of; empty where it has none."""


class Tracker(ABC):
    """One tracking server and its model registry. Methods are idempotent: the same content is recorded once."""

    name: ClassVar[str]
    requires: ClassVar[tuple[str, ...]]
    install: ClassVar[str]

    @abstractmethod
    def connect(self, uri: str, experiment: str) -> None:
        """Open the store, creating its schema first when there is none.

        Raises:
            StoreError: the store cannot be reached or written.
        """

    @abstractmethod
    def recorded(self, digest: str) -> str | None:
        """Run id of the release with this digest of its facts, when it has been recorded whole; None otherwise."""

    @abstractmethod
    def record(self, facts: "ReleaseFacts", digest: str, files: Path, artifacts: dict[str, Artifact]) -> str:
        """Record a release: a parent run, and a child run a target and rung; return the parent's run id.

        Args:
            facts: the whole release.
            digest: digest of the facts, by which `recorded` finds it again.
            files: folder with report.html and release.json, logged with the parent run.
            artifacts: target name to the artifact the gate passed, logged with its child run.
        """

    @abstractmethod
    def recorded_at(self, run_id: str) -> datetime:
        """When a recorded release was begun to be recorded (UTC, whole seconds): the same whenever it is asked."""

    @abstractmethod
    def keep_bundle(self, run_id: str, artifact: Artifact, bundle: Path) -> dict[str, str]:
        """Keep a signed bundle with the recorded release that holds its artifact; return the tags by which it is found."""

    @abstractmethod
    def fetch_bundle(self, model: str, version: str, out: Path) -> bool:
        """Download the signed bundle of a version as the file ``out``, unless that is it already.

        Returns:
            Whether the version has one.

        Raises:
            StoreError: it is gone, or is not what was kept.
        """

    @abstractmethod
    def champion(self, model: str, alias: Literal["champion", "rollback"] = "champion") -> Champion | None:
        """What 'champion' (or 'rollback': the champion before it) points to, or None when the model has none."""

    @abstractmethod
    def fetch(self, champion: Champion, out: Path) -> Artifact:
        """Download the champion's artifact into ``out`` and verify its digest."""

    @abstractmethod
    def promote(self, model: str, artifact: Artifact, run_id: str, tags: dict[str, str], judged_against: str | None) -> str:
        """Register the artifact, alias it 'candidate', then 'champion'; the champion before it gets 'rollback'.

        Promoting what already is champion changes nothing. Returns the version.

        Args:
            model: registered name.
            artifact: what passed the gate.
            run_id: the recorded release that holds it.
            tags: of the version; one that is there already takes them too.
            judged_against: digest of the champion at that time; None where there was none.

        Raises:
            GateRefused: the champion is another one by now.
        """


def require_champion(model: str, champion: Champion | None, judged_against: str | None, challenger: str) -> None:
    """Make sure that the champion is still the one a challenger was judged against, or the challenger itself.

    Raises:
        GateRefused: it is another one by now.
    """
    found = champion.digest if champion else None
    if found in (judged_against, challenger):
        return
    now = f"its champion is version {champion.version}" if champion else "it has no champion"
    raise GateRefused(
        f"{model} was promoted or rolled back while this release ran: {now}, and the challenger was judged against "
        + ("another one" if judged_against else "none"),
        where=f"alias 'champion' of {model}, which stays as it is",
        to_do="edgewright run: the challenger is then held against it, and what is unchanged is not done again",
    )
