# SPDX-License-Identifier: Apache-2.0
"""What each pass costs and gains: every pass once on one network, for two runtimes, in one release.

    python benchmarks/passes.py [--work build/passes]

Runs `edgewright run` on passes.yaml (Fashion-MNIST, 20,000 training images, resnet8) and reads release.json. Accuracy is on
validation data, as the ladder sees it while it climbs. Results: results/passes.csv, and tables on the terminal.
"""

import argparse
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import yaml
from measuring import environment, load, save

from edgewright.artifact import CandidateFacts
from edgewright.bundle import PAGE
from edgewright.onboard.digest import sha256_of
from edgewright.report.facts import RungFacts
from edgewright.report.release_json import read

HERE = Path(__file__).parent
METRIC = "top1"


@dataclass(frozen=True)
class Row:
    """One recipe on one runtime."""

    runtime: str
    recipe: str
    status: str
    parameters: int
    macs: int
    top1: float
    drop_pp: float
    n: int
    size_bytes: int
    zlib_bytes: int
    size_ratio: float
    latency_ratio: float
    latency_low: float
    latency_high: float
    load: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=HERE.parent / "build" / "passes")
    work = parser.parse_args().work.absolute()
    busy = load()
    run(work)
    rows = collect(work, busy)
    print(save("passes", rows))
    for runtime in dict.fromkeys(row.runtime for row in rows):
        print(f"\n{runtime}\n\n{table([row for row in rows if row.runtime == runtime])}")


def run(work: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    own = {"ZENML_CONFIG_PATH": str(work / "zenml"), "PYTHONPATH": str(HERE)}
    asked = yaml.safe_load((HERE / "passes.yaml").read_text(encoding="utf-8"))
    asked |= {"output": "out", "tracking": {"uri": f"sqlite:///{work / 'mlflow.db'}"}}
    (work / "release.yaml").write_text(yaml.safe_dump(asked, sort_keys=False), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("edgewright")), "run", "release.yaml"]
    if subprocess.run(command, cwd=work, env=environment(**own), check=False).returncode not in (0, 1):
        sys.exit("edgewright run did not come to its end")


def collect(work: Path, busy: float) -> list[Row]:
    facts = read(work / "out" / "passes" / "release.json")
    before = facts.baseline["validation"][METRIC]
    pages = {sha256_of(page): page.parent for page in (work / "zenml").rglob(PAGE)}
    rows = []
    for target in facts.targets:
        for rung in target.rungs:
            if rung.validation is None or rung.manifest is None:
                print(f"{target.name}: {rung.recipe} {rung.status}: {' '.join(rung.reasons)}")
                continue
            rows.append(_row(target.runtime, rung, before.value, before.n, facts.candidate, pages, busy))
    return rows


def _row(
    runtime: str, rung: RungFacts, before: float, n: int, baseline: CandidateFacts, pages: dict[str, Path], busy: float
) -> Row:
    run, model = rung.validation, rung.candidate or baseline
    latency = run.ratios["latency_p50_ms"]
    file = pages[rung.artifact_digest] / rung.manifest.file
    return Row(
        runtime=runtime,
        recipe=rung.recipe,
        status=rung.status,
        parameters=model.parameters,
        macs=model.macs,
        top1=run.measurements[METRIC].value,
        drop_pp=100 * (before - run.measurements[METRIC].value),
        n=n,
        size_bytes=rung.manifest.size_bytes,
        zlib_bytes=len(zlib.compress(file.read_bytes(), 9)),
        size_ratio=run.ratios["size_bytes"].value,
        latency_ratio=latency.value,
        latency_low=latency.low,
        latency_high=latency.high,
        load=busy,
    )


def table(rows: list[Row]) -> str:
    lines = [
        "| recipe | parameters | MACs | file | zlib | file / float | latency / float | change of top-1 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        cells = [
            f"`{row.recipe}`",
            f"{row.parameters:,}",
            f"{row.macs / 1e6:.2f} M",
            f"{row.size_bytes / 1000:.1f} kB",
            f"{row.zlib_bytes / 1000:.1f} kB",
            f"{row.size_ratio:.2f}",
            f"{row.latency_ratio:.2f} [{row.latency_low:.2f}, {row.latency_high:.2f}]",
            f"{-row.drop_pp:+.2f} pp",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
