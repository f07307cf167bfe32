# SPDX-License-Identifier: Apache-2.0
"""The tracker port: where runs are recorded and artifacts are registered and promoted."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from edgewright.artifact import Artifact
from edgewright.errors import GateRefused
from edgewright.measure import Frozen
from edgewright.retraining import Retraining

if TYPE_CHECKING:
    from edgewright.drift.facts import DriftFacts
    from edgewright.report.facts import ReleaseFacts


class Champion(Frozen):
    """What the alias 'champion' of a registered model points to."""

    model: str
    version: str
    digest: str
    """Digest of the artifact bundle."""


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
    def record_drift(self, facts: "DriftFacts", digest: str, files: Path) -> str:
        """Record a drift check as a run; return its id. The same check is recorded once.

        Args:
            facts: the whole check.
            digest: digest of the facts.
            files: folder with drift.html and drift.json.
        """

    @abstractmethod
    def retrainings(self, release: str) -> tuple[Retraining, ...]:
        """Retrainings of a release that have begun, newest first."""

    @abstractmethod
    def begin_retraining(self, retraining: Retraining) -> str:
        """Record that a retraining begins; return its run id. One that did not end is begun again under the same id."""

    @abstractmethod
    def end_retraining(self, run: str, outcome: str) -> None:
        """Record how a retraining ended: 'promoted' or 'refused'."""

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
            tags: of the version.
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
