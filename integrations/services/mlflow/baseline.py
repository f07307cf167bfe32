# SPDX-License-Identifier: Apache-2.0
"""Baselines beside the runs of their releases, from where a warm start takes them months later and on another machine."""

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic_core import from_json

from edgewright.artifact import Candidate
from edgewright.bundle import PAGE
from edgewright.errors import StoreError
from edgewright.report.release_json import digest_of_page

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

FOLDER = "baseline"
_KEPT = "edgewright.baseline"


def keep(client: "MlflowClient", run_id: str, candidate: Candidate) -> None:
    """Log a baseline with the run of its release; the tag that says that it is there comes last."""
    if client.get_run(run_id).data.tags.get(_KEPT) == candidate.digest:
        return
    for name in [*candidate.files, PAGE]:
        client.log_artifact(run_id, str(candidate.path / name), (Path(FOLDER) / name).parent.as_posix())
    client.set_tag(run_id, _KEPT, candidate.digest)


def fetch(client: "MlflowClient", run_id: str, release: str, out: Path) -> Candidate:
    """Download a baseline as ``out``/<its digest>, unless it lies there already.

    Args:
        client: of the store.
        run_id: of the release.
        release: digest of its facts; they name the baseline by its digest.
        out: folder.

    Raises:
        StoreError: record or baseline are not what was promoted, or the release was recorded without it.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".fetch-") as folder:
        digest = _digest_in(Path(client.download_artifacts(run_id, "release.json", folder)), run_id, release)
        place = out / digest[:12]
        here = _opened(place)
        if here is not None and here.digest == digest:
            return here
        if _KEPT not in client.get_run(run_id).data.tags:
            raise _refused("was recorded without its baseline", run_id, "releases from then on have theirs")
        kept = _opened(Path(client.download_artifacts(run_id, FOLDER, folder)))
        if kept is None or kept.digest != digest:
            raise _refused("has not the baseline that was promoted", run_id, "or restore its artifacts from a copy")
        return kept.copy_to(place)


def _digest_in(page: Path, run_id: str, release: str) -> str:
    """Digest of the baseline, out of a release.json that is the very one that was promoted."""
    text = page.read_text(encoding="utf-8", errors="replace")
    with suppress(ValueError):
        if digest_of_page(text) == release:
            return str(from_json(text)["candidate_digest"])
    raise _refused("has not the release.json that was promoted", run_id, "or restore its artifacts from a copy")


def _opened(folder: Path) -> Candidate | None:
    try:
        return Candidate.open(folder)
    except StoreError:
        return None


def _refused(what: str, run_id: str, besides: str) -> StoreError:
    return StoreError(
        f"there is nothing to start from: the champion's release {what}",
        where=f"start: warm; artifacts of MLflow run {run_id}",
        to_do=f"retrain with 'start: scratch'; {besides}",
    )
