# SPDX-License-Identifier: Apache-2.0
"""How bundles travel through ZenML: copied into the artifact store whole, digest as content hash, verified when read."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from zenml.enums import ArtifactType
from zenml.materializers.base_materializer import BaseMaterializer
from zenml.metadata.metadata_types import MetadataType

from edgewright.bundle import PAGE, Bundle
from edgewright.errors import StoreError

PREFIX = "edgewright-work-"


def workspace() -> Path:
    """Return a new empty folder for a step to fill; it is removed once its bundle is in the artifact store."""
    return Path(tempfile.mkdtemp(prefix=PREFIX))


class BundleMaterializer(BaseMaterializer):
    """Stores any `edgewright.bundle.Bundle`; ZenML registers it for that type when this module is imported."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (Bundle,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def load(self, data_type: type[Any]) -> Bundle[Any]:
        """Open the bundle where it lies when the store is a local folder, a verified copy otherwise."""
        if Path(self.uri).is_dir():
            local: Bundle[Any] = data_type.open(Path(self.uri))
            return local
        folder = workspace()
        for name in self._names():
            copy = folder / name
            if not copy.resolve().is_relative_to(folder.resolve()):
                raise StoreError(f"{name!r} points outside the bundle", where=self.uri, to_do="do not trust this store")
            copy.parent.mkdir(parents=True, exist_ok=True)
            with self.artifact_store.open(os.path.join(self.uri, name), "rb") as source, copy.open("wb") as stream:
                shutil.copyfileobj(source, stream)
        fetched: Bundle[Any] = data_type.open(folder)
        return fetched

    def save(self, data: Bundle[Any]) -> None:
        """Copy the bundle's files, the page last: a bundle without its page is not one."""
        try:
            for name in [*data.files, PAGE]:
                target = os.path.join(self.uri, name)
                self.artifact_store.makedirs(os.path.dirname(target))
                with (data.path / name).open("rb") as source, self.artifact_store.open(target, "wb") as copy:
                    shutil.copyfileobj(source, copy)
        except OSError as error:
            raise StoreError(
                f"cannot store {data!r}: {error}",
                where=self.uri,
                to_do="free or widen the artifact store, then: edgewright resume",
            ) from error
        finally:
            if data.path.name.startswith(PREFIX):
                shutil.rmtree(data.path, ignore_errors=True)

    def compute_content_hash(self, data: Bundle[Any]) -> str | None:
        """Return the bundle's digest: steps downstream are cached by content, not by who made it."""
        return data.digest

    def extract_metadata(self, data: Bundle[Any]) -> dict[str, MetadataType]:
        """Show the digest in the dashboard."""
        return {"digest": data.digest, "files": len(data.files)}

    def _names(self) -> list[str]:
        with self.artifact_store.open(os.path.join(self.uri, PAGE), "r") as page:
            return [*json.load(page)["files"], PAGE]
