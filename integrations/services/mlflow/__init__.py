# SPDX-License-Identifier: Apache-2.0
"""MLflow as the tracker: releases become runs, passed artifacts become versions of registered models.

Only the plain MlflowClient with explicit run ids is used: the fluent API is not thread-safe. A release counts as
recorded once its tag `edgewright.complete` is set, which is written last; what an interrupted run left is deleted.
"""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from edgewright.artifact import Artifact, Candidate
from edgewright.drift.facts import DriftFacts
from edgewright.errors import StoreError
from edgewright.integrations.services.mlflow import baseline, retraining
from edgewright.integrations.services.mlflow.drift import DRIFT_FILES, drift_log
from edgewright.integrations.services.mlflow.log import release_log, rung_log, write
from edgewright.integrations.services.mlflow.registry import MlflowRegistry, log_files
from edgewright.integrations.services.mlflow.store import Store
from edgewright.onboard.digest import sha256_of
from edgewright.registry import Tracker
from edgewright.report import release_json
from edgewright.report.facts import ReleaseFacts, RungFacts, TargetFacts
from edgewright.retraining import Retraining

if TYPE_CHECKING:
    from mlflow.entities import Run

REPORT_FILES = ("report.html", "release.json")
BUNDLE_FOLDER = "bundle"


class MlflowTracker(Tracker):
    """One MLflow store: a sqlite file, or a tracking server."""

    name: ClassVar[str] = "mlflow"
    requires: ClassVar[tuple[str, ...]] = ("mlflow",)
    install: ClassVar[str] = "pip install 'mlflow>=3.17,<4'"
    registry: MlflowRegistry

    def connect(self, uri: str, experiment: str) -> None:
        """Open the store, creating its schema first when there is none; an unreachable server is told within seconds."""
        self._store = Store(uri)
        self._store.open(experiment)
        self._client = self._store.client
        self.shown = self._store.shown
        self.folder = self._store.database.parent if self._store.database else None
        self.registry = MlflowRegistry(self._store)

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

    def recorded_at(self, run_id: str) -> datetime:
        """When the run of a release was made (UTC, whole seconds)."""
        with self._store.errors("cannot read the tracking store"):
            started = self._client.get_run(run_id).info.start_time
        return datetime.fromtimestamp(int(started or 0) // 1000, UTC)

    def keep_bundle(self, run_id: str, artifact: Artifact, bundle: Path) -> dict[str, str]:
        """Log a signed bundle with the rung's run that holds its artifact; return the tags by which it is found."""
        with self._store.errors(f"cannot keep {bundle.name}"), self._store.lock():
            child = self.registry.run_with(artifact, run_id)
            self._client.log_artifact(child, str(bundle), BUNDLE_FOLDER)
        kept = f"runs:/{child}/{BUNDLE_FOLDER}/{bundle.name}"
        return {"edgewright.bundle": sha256_of(bundle), "edgewright.bundle_uri": kept, "edgewright.run": run_id}

    def keep_report(self, digest: str, *files: Path) -> None:
        """Log report.html and release.json of a recorded release again, in the place of those before."""
        with self._store.errors("cannot keep the report"), self._store.lock():
            for run in self._releases(digest):
                for file in files:
                    self._client.log_artifact(run.info.run_id, str(file))

    def fetch_bundle(self, model: str, version: str, out: Path) -> bool:
        """Download the signed bundle of a version as the file ``out``, unless that is it already.

        Raises:
            StoreError: it is gone, or is not what was kept.
        """
        out.parent.mkdir(parents=True, exist_ok=True)
        what = f"the signed bundle of {model} version {version}"
        with (
            self._store.errors(f"cannot download {what}"),
            tempfile.TemporaryDirectory(dir=out.parent, prefix=".fetch-") as folder,
        ):
            tags = self._client.get_model_version(model, version).tags
            if "edgewright.bundle" not in tags:
                return False
            if out.is_file() and sha256_of(out) == tags["edgewright.bundle"]:
                return True
            run_id, _, path = tags["edgewright.bundle_uri"].removeprefix("runs:/").partition("/")
            fetched = Path(self._client.download_artifacts(run_id, path, folder))
            if sha256_of(fetched) != tags["edgewright.bundle"]:
                raise StoreError(f"{what} is not what was kept", where=self._store.shown, to_do="release again: edgewright run")
            fetched.replace(out)
        return True

    def keep_baseline(self, run_id: str, candidate: Candidate) -> None:
        """Log the float baseline with the run of the release; what is there already is not logged again."""
        with self._store.errors("cannot keep the baseline"), self._store.lock():
            baseline.keep(self._client, run_id, candidate)

    def fetch_baseline(self, run_id: str, release: str, out: Path) -> Candidate:
        """Download the float baseline of a recorded release into a folder below ``out`` that has its digest as name.

        Raises:
            StoreError: the record or the baseline is gone, or is not what was promoted.
        """
        with self._store.errors(f"cannot download the baseline of run {run_id}"):
            return baseline.fetch(self._client, run_id, release, out)

    def release_of(self, model: str, version: str) -> tuple[ReleaseFacts, str]:
        """What was recorded of the release that made a version, and the name of its target.

        Raises:
            StoreError: the release's record is gone.
        """
        with self._store.errors(f"cannot read the release of {model} version {version}"):
            found = self._client.get_model_version(model, version)
            parent = self._client.get_run(str(found.run_id)).data.tags["mlflow.parentRunId"]
            with tempfile.TemporaryDirectory(prefix="edgewright-release-") as folder:
                file = Path(self._client.download_artifacts(parent, "release.json", folder))
                return release_json.read(file), found.tags["target"]

    def first_used(self, what: Literal["data", "code"], digest: str) -> datetime | None:
        """When a release with this digest of its data or code was first recorded; None when none was."""
        wanted = f"tags.`edgewright.{what}` = '{digest}' and tags.`edgewright.complete` = 'true'"
        with self._store.errors("cannot search the tracking store"):
            runs = self._client.search_runs(
                [self._store.experiment], wanted, max_results=1, order_by=["attributes.start_time ASC"]
            )
        return datetime.fromtimestamp(runs[0].info.start_time / 1000, UTC) if runs else None

    def _record_rung(self, parent: str, target: TargetFacts, rung: RungFacts, passed: Artifact | None) -> None:
        child = self._start(f"{target.name}/{rung.recipe}", {"edgewright.kind": "rung", "mlflow.parentRunId": parent})
        write(self._client, child, rung_log(target, rung))
        if passed is not None:
            log_files(self._client, child, passed)
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
