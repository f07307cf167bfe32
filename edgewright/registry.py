# SPDX-License-Identifier: Apache-2.0
"""The ports of tracking: Tracker, where runs are recorded, and its Registry, where artifacts and histories are kept."""

import os
from abc import ABC, abstractmethod
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from edgewright.artifact import Artifact, Candidate
from edgewright.config.release import Tracking
from edgewright.errors import StoreError
from edgewright.measure import Frozen
from edgewright.retraining import Retraining

if TYPE_CHECKING:
    from edgewright.drift.facts import DriftFacts
    from edgewright.report.facts import ReleaseFacts


def store_uri(tracking: Tracking, output: Path = Path()) -> str:
    """Return the store's URI: as configured, from MLFLOW_TRACKING_URI, or a sqlite file in the output folder."""
    return tracking.uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{output.absolute() / 'mlflow.db'}"


def require_store(uri: str) -> None:
    """Make sure that a sqlite store is there, where one is asked what it holds: an empty one would be made, and say nothing.

    Raises:
        StoreError: it is not.
    """
    database = Path(uri.removeprefix("sqlite:///").partition("?")[0])
    if uri.startswith("sqlite:///") and not database.exists():
        raise StoreError(
            "nothing was released here: there is no tracking store",
            where=str(database),
            to_do="go to the folder of release.yaml, or give --config release.yaml, or name the store in MLFLOW_TRACKING_URI",
        )


def for_steps(tracking: Tracking, output: Path) -> Tracking:
    """Fill in the output folder's store where nothing names one.

    A URI in MLFLOW_TRACKING_URI may hold a password: steps, whose inputs are stored, take it from there themselves.
    """
    named = tracking.uri or os.environ.get("MLFLOW_TRACKING_URI")
    return tracking if named else tracking.model_copy(update={"uri": store_uri(tracking, output)})


class Champion(Frozen):
    """What the alias 'champion' of a registered model points to."""

    model: str
    version: str
    digest: str
    """Digest of the artifact."""
    run: str = ""
    """Id of the recorded release that its signed bundle speaks of; empty where it has none."""


class Kept(Frozen):
    """One entry of a history as a registry keeps it."""

    number: int = Field(ge=1)
    envelope: str


class Registry(ABC):
    """Versions of models, the aliases on them, and the history of each model. The rules are in edgewright.promotion."""

    @abstractmethod
    def register(self, model: str, artifact: Artifact, run_id: str, tags: dict[str, str]) -> str:
        """Make the artifact a version of the model, with the alias 'candidate'; a version that is there takes the tags.

        Args:
            model: registered name.
            artifact: what a release made.
            run_id: the recorded release; the artifact is logged with it where it has not been yet.
            tags: of the version.

        Returns:
            The version.
        """

    @abstractmethod
    def champion(self, model: str, alias: Literal["champion", "rollback"] = "champion") -> Champion | None:
        """What a client gets that asks for the alias, or None when it is not set."""

    @abstractmethod
    def alias(self, model: str, alias: Literal["champion", "rollback"]) -> str | None:
        """The version that the alias is on, or None when it is not set."""

    @abstractmethod
    def set_alias(self, model: str, alias: Literal["champion", "rollback"], version: str | None) -> None:
        """Point the alias to the version; None takes it away."""

    @abstractmethod
    def fetch(self, champion: Champion, out: Path) -> Artifact:
        """Download the champion's artifact into ``out`` and verify its digest."""

    @abstractmethod
    def history(self, model: str) -> list[Kept]:
        """Every entry of the model's history, in the order of their numbers."""

    @abstractmethod
    def histories(self) -> list[str]:
        """Names of the models that have a history."""

    @abstractmethod
    def append(self, model: str, envelope: str, version: str, summary: str) -> int:
        """Keep one more entry and return the number it was given: the next one, which nobody else gets.

        Args:
            model: whose history it is.
            envelope: the signed entry.
            version: of the model, which the entry is about.
            summary: one sentence for people who look into the registry.
        """


class Tracker(ABC):
    """One tracking server. Methods are idempotent: the same content is recorded once."""

    name: ClassVar[str]
    requires: ClassVar[tuple[str, ...]]
    install: ClassVar[str]

    registry: Registry
    """Its model registry, once it is connected."""
    shown: str
    """The store's URI as it may be printed, without user and password; set by `connect`."""
    folder: Path | None
    """Folder beside a local store; None where the store is a server."""

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
    def recorded_at(self, run_id: str) -> datetime:
        """When a recorded release was begun to be recorded (UTC, whole seconds): the same whenever it is asked."""

    @abstractmethod
    def keep_bundle(self, run_id: str, artifact: Artifact, bundle: Path) -> dict[str, str]:
        """Keep a signed bundle with the recorded release that holds its artifact; return the tags by which it is found."""

    @abstractmethod
    def keep_report(self, digest: str, *files: Path) -> None:
        """Keep the report of a recorded release anew, now that it is known what was not promoted."""

    @abstractmethod
    def fetch_bundle(self, model: str, version: str, out: Path) -> bool:
        """Download the signed bundle of a version as the file ``out``, unless that is it already.

        Returns:
            Whether the version has one.

        Raises:
            StoreError: it is gone, or is not what was kept.
        """

    @abstractmethod
    def keep_baseline(self, run_id: str, baseline: Candidate) -> None:
        """Keep the float baseline with the recorded release that was made of it."""

    @abstractmethod
    def fetch_baseline(self, run_id: str, release: str, out: Path) -> Candidate:
        """Download the float baseline of a recorded release into a folder below ``out`` that has its digest as name.

        Args:
            run_id: of the recorded release.
            release: digest of its facts, as a signed entry of a history gives it: nothing else is taken for the release.
            out: folder.

        Raises:
            StoreError: the record or the baseline is gone, or is not what was promoted.
        """

    @abstractmethod
    def release_of(self, model: str, version: str) -> "tuple[ReleaseFacts, str]":
        """What was recorded of the release that made a version, and the name of its target."""

    @abstractmethod
    def first_used(self, what: Literal["data", "code"], digest: str) -> datetime | None:
        """When a release with this digest of its data or code was first recorded; None when none was."""
