# SPDX-License-Identifier: Apache-2.0
"""`edgewright run` with one seed in a folder of its own, and every rung of the climb as a row.

What a folder holds is kept: an interrupted race goes on, a finished one is read back.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml
from measuring import environment, load

from edgewright.measure import Measurement
from edgewright.report.facts import ReleaseFacts, RungFacts, TargetFacts
from edgewright.report.release_json import read
from micro.archives import Archive

HERE = Path(__file__).parents[1]
PROMOTED, REFUSED = 0, 1
FLOAT = "float32"


@dataclass(frozen=True)
class Row:
    """One rung of one seed's climb, or the float baseline in the target's own format; None: nobody took it."""

    seed: int
    recipe: str
    status: str
    """passed, refused, inconclusive, failed or skipped; 'baseline' for the float model."""
    split: str
    """That top1 is of: test for what was judged on it, validation for the others."""
    top1: float | None
    top1_low: float | None
    top1_high: float | None
    """Two-sided 95 % interval."""
    n: int | None
    drop: float | None
    """Float baseline's top-1 on the same samples minus this."""
    validation_top1: float | None
    size_bytes: float | None
    arena_bytes: float | None
    arena_evidence: str
    parameters: int | None
    seconds: float | None
    """Wall time of the seed's whole release, data checks and training included; None where it went on after an interruption."""
    load: float
    """Load average of the machine over the minute before the release ended."""
    reason: str


def race(name: str, archive: Archive, seed: int, folder: Path) -> list[Row]:
    """Run the release <name>.yaml with one seed, or what is left of it; a refused target is a result as well."""
    config = _configure(HERE / f"{name}.yaml", seed, folder)
    done, made_of = folder / "rows.json", config.read_text(encoding="utf-8")
    if done.is_file() and (before := json.loads(done.read_text(encoding="utf-8")))["made_of"] == made_of:
        print(f"seed {seed}: as it ran before; to run it again, remove {folder}", flush=True)
        return [Row(**row) for row in before["rows"]]
    print(f"seed {seed}: edgewright run {config}", flush=True)
    whole, started = not (folder / "zenml").exists(), time.monotonic()
    _run(config, archive)
    seconds = time.monotonic() - started
    facts = read(folder / "out" / yaml.safe_load(made_of)["name"] / "release.json")
    rows = rows_of(facts, seed, seconds if whole else None)
    done.write_text(json.dumps({"made_of": made_of, "rows": [asdict(row) for row in rows]}, indent=1), encoding="utf-8")
    return rows


def _configure(template: Path, seed: int, folder: Path) -> Path:
    asked = yaml.safe_load(template.read_text(encoding="utf-8"))
    asked |= {"seed": seed, "output": "out", "tracking": {"uri": f"sqlite:///{folder.absolute() / 'mlflow.db'}"}}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "release.yaml"
    file.write_text(yaml.safe_dump(asked, sort_keys=False), encoding="utf-8")
    return file


def _run(config: Path, archive: Archive) -> None:
    folder = config.parent
    log, store = folder / "edgewright.log", folder / "zenml"
    # data functions lie beside the scripts; the release runs in the seed's folder
    paths = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(HERE)]))
    own = {"PYTHONPATH": paths, "EDGEWRIGHT_DATA": str(archive.path.parent), "ZENML_CONFIG_PATH": str(store),
           "ZENML_LOCAL_STORES_PATH": str(store / "local_stores")}  # fmt: skip
    with log.open("ab") as stream:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("edgewright")), "run", config.name],
            cwd=folder,
            env=environment(**own),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            check=False,
        )
    if done.returncode not in (PROMOTED, REFUSED):
        said = log.read_text(encoding="utf-8", errors="replace")[-3000:]
        sys.exit(f"{said}\nedgewright run ended with {done.returncode}; all it said: {log}")


def rows_of(facts: ReleaseFacts, seed: int, seconds: float | None) -> list[Row]:
    """Return the float baseline and every rung of the one target, in the order they were tried."""
    (target,) = facts.targets
    busy = load()
    rows = [_row(facts, rung, seed, seconds, busy) for rung in target.rungs]
    return [_baseline(facts, target, seed, seconds, busy), *rows]


def _baseline(facts: ReleaseFacts, target: TargetFacts, seed: int, seconds: float | None, busy: float) -> Row:
    parent: dict[str, Measurement] = next((rung.validation.parent for rung in target.rungs if rung.validation is not None), {})
    return Row(
        seed,
        FLOAT,
        "baseline",
        "test",
        *_interval(facts.baseline["test"].get("top1")),
        0.0,
        facts.baseline["validation"]["top1"].value,
        *_bytes(parent),
        facts.candidate.parameters,
        seconds,
        busy,
        "",
    )


def _row(facts: ReleaseFacts, rung: RungFacts, seed: int, seconds: float | None, busy: float) -> Row:
    found = rung.test or rung.validation
    # bytes do not depend on the split, and are taken on validation data, while the target climbs
    taken = {**(rung.validation.measurements if rung.validation else {}), **(found.measurements if found else {})}
    before = facts.baseline[found.split]["top1"].value if found is not None else None
    top1 = taken.get("top1")
    candidate = rung.candidate or (facts.candidate if found is not None else None)
    return Row(
        seed,
        rung.recipe,
        rung.status,
        found.split if found is not None else "",
        *_interval(top1),
        before - top1.value if before is not None and top1 is not None else None,
        rung.validation.measurements["top1"].value if rung.validation is not None else None,
        *_bytes(taken),
        candidate.parameters if candidate is not None else None,
        seconds,
        busy,
        " ".join(rung.reasons),
    )


def _interval(top1: Measurement | None) -> tuple[float | None, float | None, float | None, int | None]:
    return (top1.value, top1.low, top1.high, top1.n) if top1 is not None else (None, None, None, None)


def _bytes(taken: dict[str, Measurement]) -> tuple[float | None, float | None, str]:
    size, arena = taken.get("size_bytes"), taken.get("peak_memory_bytes")
    if arena is None:
        return (size.value if size is not None else None), None, ""
    return (size.value if size is not None else None), arena.value, arena.evidence
