# SPDX-License-Identifier: Apache-2.0
"""MLflow's model registry: versions, aliases, and histories.

The history of a model is another registered model, <model>.history: each entry is a version of it, since MLflow numbers
versions in one transaction. The tag `edgewright.entry` holds the signed entry; source and run are those of the version the
entry is about, which is what MLflow's server accepts as the source of a version.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgewright.artifact import Artifact
from edgewright.bundle import PAGE
from edgewright.errors import StoreError
from edgewright.fingerprint import of_path
from edgewright.integrations.services.mlflow.store import Store
from edgewright.registry import Champion, Kept, Registry

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

ARTIFACT_FOLDER = "artifact"
ENTRY = "edgewright.entry"
_PAGE_SIZE = 1000


def log_files(client: "MlflowClient", run_id: str, artifact: Artifact) -> None:
    """Log an artifact with a run; the tag that says that it is there comes last."""
    for name in [*artifact.files, PAGE]:
        folder = (Path(ARTIFACT_FOLDER) / name).parent.as_posix()
        client.log_artifact(run_id, str(artifact.path / name), folder)
    client.set_tag(run_id, "edgewright.artifact", artifact.digest)


class MlflowRegistry(Registry):
    """The model registry of one MLflow store."""

    def __init__(self, store: Store) -> None:
        self._store, self._client = store, store.client

    def register(self, model: str, artifact: Artifact, run_id: str, tags: dict[str, str]) -> str:
        """Make the artifact a version of the model, with the alias 'candidate'; a version that is there takes the tags.

        Raises:
            StoreError: the store cannot be reached or written.
        """
        with self._store.errors(f"cannot register {model}"), self._store.lock():
            self._create_model(model)
            known = self._version_of(model, artifact.digest)
            for name, value in tags.items() if known else ():
                self._client.set_model_version_tag(model, known, name, value)
            version = known or self._register(model, artifact, run_id, tags)
            self._client.set_registered_model_alias(model, "candidate", version)
            return version

    def champion(self, model: str, alias: Literal["champion", "rollback"] = "champion") -> Champion | None:
        """What a client gets that asks for the alias, or None when it is not set.

        Raises:
            StoreError: the alias points to a version that edgewright did not register.
        """
        version = self.alias(model, alias)
        if version is None:
            return None
        with self._store.errors("cannot read the model registry"):
            tags = self._client.get_model_version(model, version).tags
            digest = tags.get("edgewright.digest")
        if digest is None:
            raise StoreError(
                f"version {version} of {model!r} has the alias {alias!r}, and was not registered by edgewright",
                where=self._store.shown,
                to_do=f"edgewright history {model} --repair sets the aliases to what the history says",
            )
        return Champion(model=model, version=version, digest=digest, run=tags.get("edgewright.run", ""))

    def alias(self, model: str, alias: Literal["champion", "rollback"]) -> str | None:
        """The version that the alias is on, or None when it is not set."""
        from mlflow.exceptions import MlflowException

        with self._store.errors("cannot read the model registry"):
            try:
                aliases = self._client.get_registered_model(model).aliases
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return None
                raise
        return str(aliases[alias]) if alias in aliases else None

    def set_alias(self, model: str, alias: Literal["champion", "rollback"], version: str | None) -> None:
        """Point the alias to the version; None takes it away."""
        with self._store.errors(f"cannot set the alias {alias!r} of {model}"):
            if version is None:
                self._client.delete_registered_model_alias(model, alias)
            else:
                self._client.set_registered_model_alias(model, alias, version)

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

    def history(self, model: str) -> list[Kept]:
        """Every entry of the model's history, in the order of their numbers."""
        with self._store.errors(f"cannot read the history of {model}"):
            versions = self._versions(f"name = '{model}.history'")
        kept = [Kept(number=int(version.version), envelope=version.tags.get(ENTRY, "")) for version in versions]
        return sorted(kept, key=lambda each: each.number)

    def histories(self) -> list[str]:
        """Names of the models that have a history."""
        with self._store.errors("cannot read the model registry"):
            found, token = list[str](), None
            while True:
                page = self._client.search_registered_models("name LIKE '%.history'", max_results=_PAGE_SIZE, page_token=token)
                found += [each.name.removesuffix(".history") for each in page]
                token = page.token
                if not token:
                    return found

    def append(self, model: str, envelope: str, version: str, summary: str) -> int:
        """Keep one more entry and return the number it was given."""
        with self._store.errors(f"cannot write the history of {model}"):
            self._create_model(f"{model}.history")
            about = self._client.get_model_version(model, version)
            made = self._client.create_model_version(
                f"{model}.history", str(about.source), about.run_id, tags={ENTRY: envelope}, description=summary[:5000]
            )
            return int(made.version)

    def _versions(self, wanted: str) -> list["ModelVersion"]:
        found: list[ModelVersion] = []
        token: str | None = None
        while True:
            page = self._client.search_model_versions(wanted, max_results=_PAGE_SIZE, page_token=token)
            found += page
            token = page.token
            if not token:
                return found

    def _create_model(self, model: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _version_of(self, model: str, digest: str) -> str | None:
        """The version that holds this content already, with its files still there."""
        for version in self._versions(f"name = '{model}' and tags.`edgewright.digest` = '{digest}'"):
            if version.run_id and self._client.list_artifacts(version.run_id, ARTIFACT_FOLDER):
                return str(version.version)
        return None

    def _register(self, model: str, artifact: Artifact, run_id: str, tags: dict[str, str]) -> str:
        child = self.run_with(artifact, run_id)
        facts = {"edgewright.digest": artifact.digest, "sha256": of_path(artifact.main_file)}
        version = self._client.create_model_version(model, f"runs:/{child}/{ARTIFACT_FOLDER}", child, tags=tags | facts)
        return str(version.version)

    def run_with(self, artifact: Artifact, release: str) -> str:
        """Child run of the release that holds the artifact; one that the gate refused gets a run of its own now."""
        children = self._client.search_runs([self._store.experiment], f"tags.`mlflow.parentRunId` = '{release}'")
        for run in children:
            if run.data.tags.get("edgewright.artifact") == artifact.digest:
                return str(run.info.run_id)
        kind = {"edgewright.kind": "override", "mlflow.parentRunId": release}
        run_id = str(self._client.create_run(self._store.experiment, tags=kind, run_name="override").info.run_id)
        log_files(self._client, run_id, artifact)
        self._client.set_terminated(run_id, "FINISHED")
        return run_id
