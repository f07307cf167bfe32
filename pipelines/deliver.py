# SPDX-License-Identifier: Apache-2.0
"""What a release leaves in its output folder: artifacts/ and references/ of what was promoted, refused/ of what was not."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from edgewright.artifact import Artifact
from edgewright.data.dataset import Dataset
from edgewright.drift.reference import make_reference
from edgewright.drift.reference import write as write_reference
from edgewright.pipelines.climb import Climb
from edgewright.trust.signed import SUFFIX


def deliver(artifacts: dict[str, Artifact], folder: Path, *beside: str) -> None:
    """Lay artifacts into a folder, and take away what an earlier run left of targets that ended otherwise now.

    Args:
        artifacts: by target.
        folder: to lay them into.
        beside: endings of files that may lie beside an artifact.
    """
    kept = {f"{name}{ending}" for name in artifacts for ending in ("", *beside)}
    for stale in folder.iterdir() if folder.is_dir() else ():
        if stale.name not in kept:
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
    for name, artifact in artifacts.items():
        artifact.copy_to(folder / name)


def deliver_bundles(names: Iterable[str], staged: Path, folder: Path) -> None:
    """Lay the signed bundles of targets beside their artifacts."""
    for name in names:
        shutil.copyfile(staged / f"{name}{SUFFIX}", folder / f"{name}{SUFFIX}")


def describe(judged: dict[str, Artifact], climbs: list[Climb], dataset: Dataset, folder: Path, suffix: str = ".json") -> None:
    """Write what artifacts were trained on and answer, for drift: <target><suffix>; those of other targets go."""
    for stale in folder.glob(f"*{suffix}"):
        if stale.name.removesuffix(suffix) not in judged:
            stale.unlink()
    for climb in climbs:
        name = climb.target.name
        if climb.judged is not None and name in judged:
            reference = make_reference(judged[name].digest, name, dataset, climb.judged.test.load().outputs())
            write_reference(reference, folder / f"{name}{suffix}")
