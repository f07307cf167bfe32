# SPDX-License-Identifier: Apache-2.0
"""Edgewright's part of the race: `edgewright run` with one seed in a folder of its own, and what it made.

Bundles are known by their digests, which release.json names: the trained baseline, its float files (the peers' start)
and the data as it was split are looked up in the store by them.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from measuring import environment

from edgewright.artifact import Artifact
from edgewright.bundle import PAGE
from edgewright.config import ReleaseConfig
from edgewright.data.dataset import Dataset
from edgewright.onboard.digest import sha256_of
from edgewright.plugins import create
from edgewright.report.facts import ReleaseFacts, RungFacts, TargetFacts
from edgewright.report.release_json import read

PROMOTED, REFUSED = 0, 1


@dataclass(frozen=True)
class Entry:
    """Edgewright's file for one target: the promoted one, or the last that was made when the gate promoted none."""

    rung: RungFacts
    artifact: Artifact
    promoted: bool


@dataclass(frozen=True)
class Release:
    """What one run of edgewright left behind."""

    facts: ReleaseFacts
    dataset: Dataset
    weights: Path
    """The trained baseline's weights (safetensors)."""
    floats: dict[str, Artifact]
    """The baseline's float file, by runtime."""
    entries: dict[str, Entry]
    """By runtime; without those for which no rung came to a file."""


def configure(template: Path, seed: int, data: Path, folder: Path, *, quick: bool) -> Path:
    """Write the release.yaml of one seed; ``quick`` trains everything for one epoch, and forgives what that costs."""
    asked = yaml.safe_load(template.read_text(encoding="utf-8"))
    asked |= {"seed": seed, "output": "out", "tracking": {"uri": f"sqlite:///{folder.absolute() / 'mlflow.db'}"}}
    asked["data"]["source"] = str(data)
    config = ReleaseConfig.model_validate(asked)
    if quick:
        forgiven = [{**target, "budget": {"max_accuracy_drop": 1}} for target in config.model_dump(mode="json")["targets"]]
        config = ReleaseConfig.model_validate(one_epoch({**config.model_dump(mode="json"), "targets": forgiven}))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "release.yaml"
    file.write_text(yaml.safe_dump(json.loads(config.model_dump_json()), sort_keys=False), encoding="utf-8")
    return file


def one_epoch(value: Any) -> Any:
    """Set every number of epochs in a configuration to 1."""
    if isinstance(value, dict):
        once = {"epochs": 1, "warmup_epochs": 0}
        return {key: once[key] if key in once else one_epoch(one) for key, one in value.items()}
    return [one_epoch(one) for one in value] if isinstance(value, list) else value


def run(config: Path, threads: int) -> Release:
    """Run the release, or what is left of it; a target that is refused is a result as well."""
    folder = config.parent
    log, store = folder / "edgewright.log", folder / "zenml"
    own = {"ZENML_CONFIG_PATH": str(store), "ZENML_LOCAL_STORES_PATH": str(store / "local_stores")}
    with log.open("ab") as stream:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("edgewright")), "run", config.name],
            cwd=folder,
            env=environment(OMP_NUM_THREADS=str(threads), **own),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            check=False,
        )
    if done.returncode not in (PROMOTED, REFUSED):
        said = log.read_text(encoding="utf-8", errors="replace")[-3000:]
        sys.exit(f"{said}\nedgewright run ended with {done.returncode}; all it said: {log}")
    return collect(read(folder / "out" / yaml.safe_load(config.read_text(encoding="utf-8"))["name"] / "release.json"), folder)


def collect(facts: ReleaseFacts, folder: Path) -> Release:
    """Look up what the facts name."""
    pages = {sha256_of(page): page.parent for page in sorted((folder / "zenml").rglob(PAGE), key=os.path.getmtime)}
    files = [Artifact.open(path) for path in pages.values() if json.loads((path / PAGE).read_bytes())["type"] == "Artifact"]
    floats = {
        one.facts.format: one for one in files if one.facts.parent == facts.candidate_digest and one.facts.recipe == "float32"
    }
    made = {target.runtime: entry(target, {one.digest: one for one in files}) for target in facts.targets}
    return Release(
        facts=facts,
        dataset=Dataset.open(pages[facts.data_digest]),
        weights=next(pages[facts.candidate_digest].glob("*.safetensors")),
        floats={target.runtime: floats[create("runtimes", target.runtime).format] for target in facts.targets},
        entries={runtime: one for runtime, one in made.items() if one is not None},
    )


def entry(target: TargetFacts, files: dict[str, Artifact]) -> Entry | None:
    """Return the promoted file of a target, else the last one made, and say why it was not promoted."""
    rungs = target.rungs if target.passed_rung is None else target.rungs[: target.passed_rung + 1]
    for rung in rungs if target.passed_rung is None else ():
        print(f"{target.name}: {rung.recipe} {rung.status}: {' '.join(rung.reasons)}", flush=True)
    made = [rung for rung in rungs if rung.artifact_digest is not None]
    return Entry(made[-1], files[made[-1].artifact_digest or ""], target.passed_rung is not None) if made else None
