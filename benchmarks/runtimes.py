# SPDX-License-Identifier: Apache-2.0
"""The compressed file against its float parent, runtime by runtime, in one release of one network.

    python benchmarks/runtimes.py [--work build/runtimes]

Runs recipes/all-runtimes.yaml and reads release.json. Results: results/runtimes.csv, and a table on the terminal.
"""

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from measuring import environment, load, save

from edgewright.report.facts import TargetFacts
from edgewright.report.release_json import read

HERE = Path(__file__).parent
RECIPE = HERE.parent / "recipes" / "all-runtimes.yaml"


@dataclass(frozen=True)
class Row:
    """One target: the file that was promoted, over its float parent in the same runtime."""

    target: str
    runtime: str
    recipe: str
    outcome: str
    size_bytes: int
    size_ratio: float | None
    latency_ratio: float | None
    latency_low: float | None
    latency_high: float | None
    latency_n: int
    evidence: str
    agreement: float | None
    load: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=HERE.parent / "build" / "runtimes")
    work = parser.parse_args().work.absolute()
    before = load()
    run(work)
    facts = read(work / "edgewright-out" / "all-runtimes" / "release.json")
    rows = [_row(target, max(before, load())) for target in facts.targets]
    print(save("runtimes", rows))
    print(table(rows))
    print(f"load average before and after: {before:.1f} and {load():.1f}, on {os.cpu_count()} cores")


def run(work: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    shutil.copy(RECIPE, work / "release.yaml")
    command = [str(Path(sys.executable).with_name("edgewright")), "run", "release.yaml"]
    own = {"ZENML_CONFIG_PATH": str(work / "zenml")}
    if subprocess.run(command, cwd=work, env=environment(**own), check=False).returncode not in (0, 1):
        sys.exit("edgewright run did not come to its end")


def _row(target: TargetFacts, busy: float) -> Row:
    rung = target.rungs[-1 if target.passed_rung is None else target.passed_rung]
    run = rung.validation
    if run is None or rung.manifest is None:
        sys.exit(f"{target.name}: {rung.recipe} {rung.status}: {' '.join(rung.reasons)}")
    latency, size = run.ratios.get("latency_p50_ms"), run.ratios.get("size_bytes")
    return Row(
        target=target.name,
        runtime=target.runtime,
        recipe=rung.recipe,
        outcome=target.outcome,
        size_bytes=rung.manifest.size_bytes,
        size_ratio=size.value if size else None,
        latency_ratio=latency.value if latency else None,
        latency_low=latency.low if latency else None,
        latency_high=latency.high if latency else None,
        latency_n=latency.n if latency else 0,
        evidence=latency.evidence if latency else "",
        agreement=run.parity.agreement if run.parity else None,
        load=busy,
    )


def table(rows: list[Row]) -> str:
    lines = [
        "| target | runtime | recipe | file | file / float | latency / float | same class as float |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        cells = [
            row.target,
            f"`{row.runtime}`",
            f"`{row.recipe}`",
            f"{row.size_bytes / 1000:.1f} kB",
            "" if row.size_ratio is None else f"{row.size_ratio:.2f}",
            _latency(row),
            "" if row.agreement is None else f"{100 * row.agreement:.1f} %",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _latency(row: Row) -> str:
    if row.latency_ratio is None:
        return "unknown"
    return f"{row.latency_ratio:.2f} [{row.latency_low:.2f}, {row.latency_high:.2f}], {row.evidence}, n={row.latency_n}"


if __name__ == "__main__":
    main()
