# SPDX-License-Identifier: Apache-2.0
"""MLflow as the tracker: releases become runs, passed artifacts become versions of registered models.

Only the plain MlflowClient with explicit run ids is used: the fluent API is not thread-safe. A release counts as
recorded once its tag `edgewright.complete` is set, which is written last; what an interrupted run left is deleted.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from edgewright.artifact import Artifact
from edgewright.bundle import PAGE
from edgewright.drift.facts import DriftFacts
from edgewright.errors import StoreError
from edgewright.fingerprint import of_path
from edgewright.integrations.services.mlflow import retraining
from edgewright.integrations.services.mlflow.drift import DRIFT_FILES, drift_log
from edgewright.integrations.services.mlflow.log import release_log, rung_log, write
from edgewright.integrations.services.mlflow.store import Store
from edgewright.registry import Champion, Tracker, require_champion
from edgewright.report.facts import ReleaseFacts, RungFacts, TargetFacts
from edgewright.retraining import Retraining

if TYPE_CHECKING:
    from mlflow.entities import Run

REPORT_FILES = ("report.html", "release.json")
ARTIFACT_FOLDER = "artifact"


class MlflowTracker(Tracker):
    """One MLflow store: a sqlite file, or a tracking server."""

    name: ClassVar[str] = "mlflow"
    requires: ClassVar[tuple[str, ...]] = ("mlflow",)
    install: ClassVar[str] = "pip install 'mlflow>=3.17,<4'"

    def connect(self, uri: str, experiment: str) -> None:
        """Open the store, creating its schema first when there is none; an unreachable server is told within seconds."""
        self._store = Store(uri)
        self._store.open(experiment)
        self._client = self._store.client

    def recorded(self, digest: str) -> str | None:
        """Run id of the release with this digest of its facts, when it has been recorded whole; None otherwise."""
        with self._store.errors("cannot search the tracking store"):
            whole = [run for run in self._releases(digest) if run.data.tags.get("edgewright.complete") == "true"]
        return str(whole[0].info.run_id) if whole else None

    def record(self, facts: ReleaseFacts, digest: str, files: Path, artifacts: dict[str, Artifact]) -> str:
        """Record a release: a parent run, and a child run a target and rung; return the parent's run id."""
        with self._store.errors("cannot record the release"), self._store.lock():
            before = self.recorded(digest)
            if before is not None:
                return before
            self._delete_incomplete(digest)
            parent = self._start(facts.release, {"edgewright.kind": "release", "edgewright.digest": digest})
            write(self._client, parent, release_log(facts))
            for file in REPORT_FILES:
                self._client.log_artifact(parent, str(files / file))
            for target in facts.targets:
                for index, rung in enumerate(target.rungs):
                    passed = artifacts.get(target.name) if index == target.passed_rung else None
                    self._record_rung(parent, target, rung, passed)
            self._client.set_terminated(parent, "FINISHED")
            self._client.set_tag(parent, "edgewright.complete", "true")
            return parent

    def record_drift(self, facts: DriftFacts, digest: str, files: Path) -> str:
        """Record a drift check as a run; return its id. The same check is recorded once."""
        with self._store.errors("cannot record the drift check"), self._store.lock():
            wanted = f"tags.`edgewright.digest` = '{digest}' and tags.`edgewright.kind` = 'drift'"
            before = [run for run in self._search(wanted) if run.data.tags.get("edgewright.complete") == "true"]
            if before:
                return str(before[0].info.run_id)
            run = self._start(facts.name, {"edgewright.kind": "drift", "edgewright.digest": digest})
            write(self._client, run, drift_log(facts))
            for file in DRIFT_FILES:
                self._client.log_artifact(run, str(files / file))
            self._client.set_terminated(run, "FINISHED")
            self._client.set_tag(run, "edgewright.complete", "true")
            return run

    def retrainings(self, release: str) -> tuple[Retraining, ...]:
        """Retrainings of a release that have begun, newest first."""
        with self._store.errors("cannot search the tracking store"):
            return tuple(retraining.read(run) for run in self._search(retraining.search_for(release)))

    def begin_retraining(self, begun: Retraining) -> str:
        """Record that a retraining begins; return its run id. One that did not end is begun again under the same id."""
        with self._store.errors("cannot record the retraining"), self._store.lock():
            for run in self._search(retraining.search_for(begun.release)):
                before = retraining.read(run)
                if before.data == begun.data and not before.ended:
                    return str(run.info.run_id)
            return self._start(begun.release, retraining.tags_of(begun))

    def end_retraining(self, run: str, outcome: str) -> None:
        """Record how a retraining ended: 'promoted' or 'refused'."""
        with self._store.errors("cannot record the retraining"), self._store.lock():
            self._client.set_tag(run, retraining.OUTCOME, outcome)
            self._client.set_terminated(run, "FINISHED")

    def champion(self, model: str, alias: Literal["champion", "rollback"] = "champion") -> Champion | None:
        """What 'champion' (or 'rollback': the champion before it) points to, or None when the model has none.

        Raises:
            StoreError: the alias points to a version that edgewright did not promote.
        """
        with self._store.errors("cannot read the model registry"):
            version = self._aliases(model).get(alias)
            if version is None:
                return None
            digest = self._client.get_model_version(model, version).tags.get("edgewright.digest")
        if digest is None:
            raise StoreError(
                f"version {version} of {model!r} has the alias {alias!r}, and was not promoted by edgewright",
                where=self._store.shown,
                to_do="take the alias off that version, or release under another name",
            )
        return Champion(model=model, version=version, digest=digest)

    def fetch(self, champion: Champion, out: Path) -> Artifact:
        """Download the champion's artifact into ``out`` and verify its digest.

        Raises:
            StoreError: the files are gone, or are not what was promoted.
        """
        out.parent.mkdir(parents=True, exist_ok=True)
        with (
            self._store.errors(f"cannot download {champion.model} version {champion.version}"),
            tempfile.TemporaryDirectory(dir=out.parent, prefix=".fetch-") as folder,
        ):
            run_id = str(self._client.get_model_version(champion.model, champion.version).run_id)
            artifact = Artifact.open(Path(self._client.download_artifacts(run_id, ARTIFACT_FOLDER, folder)))
            if artifact.digest != champion.digest:
                raise StoreError(
                    f"the files of {champion.model} version {champion.version} are not what was promoted",
                    where=self._store.shown,
                    to_do="do not ship this version; promote an artifact you trust",
                )
            return artifact.copy_to(out)

    def promote(self, model: str, artifact: Artifact, run_id: str, tags: dict[str, str], judged_against: str | None) -> str:
        """Register the artifact, alias it 'candidate', then 'champion'; the champion before it gets 'rollback'.

        MLflow sets no alias on a condition. A sqlite store is locked meanwhile; on a server two releases can still meet
        between two requests, and then the one whose alias did not stay is told.

        Raises:
            GateRefused: the champion is another one by now than ``judged_against``.
            StoreError: the run does not hold the artifact, or another release took the alias at the same moment.
        """
        with self._store.errors(f"cannot promote {model}"), self._store.lock():
            require_champion(model, self.champion(model), judged_against, artifact.digest)
            self._create_model(model)
            version = self._version_of(model, artifact.digest) or self._register(model, artifact, run_id, tags)
            before = self._aliases(model).get("champion")
            if before == version:
                return version
            self._client.set_registered_model_alias(model, "candidate", version)
            if before is not None:
                self._client.set_registered_model_alias(model, "rollback", before)
            self._client.set_registered_model_alias(model, "champion", version)
            if self._aliases(model).get("champion") != version:
                raise StoreError(
                    f"another release of {model} was promoted at the same moment",
                    where=self._store.shown,
                    to_do="look at its report; to promote this one over it: edgewright resume",
                )
            return version

    def _record_rung(self, parent: str, target: TargetFacts, rung: RungFacts, passed: Artifact | None) -> None:
        child = self._start(f"{target.name}/{rung.recipe}", {"edgewright.kind": "rung", "mlflow.parentRunId": parent})
        write(self._client, child, rung_log(target, rung))
        if passed is not None:
            for name in [*passed.files, PAGE]:
                folder = (Path(ARTIFACT_FOLDER) / name).parent.as_posix()
                self._client.log_artifact(child, str(passed.path / name), folder)
            self._client.set_tag(child, "edgewright.artifact", passed.digest)
        self._client.set_terminated(child, "FAILED" if rung.status == "failed" else "FINISHED")

    def _start(self, name: str, tags: dict[str, str]) -> str:
        return str(self._client.create_run(self._store.experiment, tags=tags, run_name=name).info.run_id)

    def _releases(self, digest: str) -> list["Run"]:
        return self._search(f"tags.`edgewright.digest` = '{digest}' and tags.`edgewright.kind` = 'release'")

    def _children(self, parent: str) -> list["Run"]:
        return self._search(f"tags.`mlflow.parentRunId` = '{parent}'")

    def _search(self, wanted: str) -> list["Run"]:
        return list(self._client.search_runs([self._store.experiment], wanted))

    def _delete_incomplete(self, digest: str) -> None:
        for release in self._releases(digest):
            for run in [*self._children(release.info.run_id), release]:
                self._client.delete_run(run.info.run_id)

    def _create_model(self, model: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _aliases(self, model: str) -> dict[str, str]:
        from mlflow.exceptions import MlflowException

        try:
            aliases = self._client.get_registered_model(model).aliases
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return {}
            raise
        return {alias: str(version) for alias, version in aliases.items()}

    def _version_of(self, model: str, digest: str) -> str | None:
        """The version that holds this content already, with its files still there."""
        for version in self._client.search_model_versions(f"name = '{model}' and tags.`edgewright.digest` = '{digest}'"):
            if version.run_id and self._client.list_artifacts(version.run_id, ARTIFACT_FOLDER):
                return str(version.version)
        return None

    def _register(self, model: str, artifact: Artifact, run_id: str, tags: dict[str, str]) -> str:
        children = [run for run in self._children(run_id) if run.data.tags.get("edgewright.artifact") == artifact.digest]
        if not children:
            raise StoreError(
                f"run {run_id} holds no artifact {artifact.digest[:12]}",
                where=self._store.shown,
                to_do="record the release again: edgewright resume",
            )
        child = children[0].info.run_id
        facts = {"edgewright.digest": artifact.digest, "sha256": of_path(artifact.main_file)}
        version = self._client.create_model_version(model, f"runs:/{child}/{ARTIFACT_FOLDER}", child, tags=tags | facts)
        return str(version.version)
