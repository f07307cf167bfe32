# SPDX-License-Identifier: Apache-2.0
"""The race on Fashion-MNIST: edgewright's artifact against what its peers make of the same trained ResNet-20.

    python benchmarks/race_fashion_mnist.py [--seeds 3] [--peers aeq ort nncf olive] [--work build/race] [--quick]

For each seed: release race_fashion_mnist.yaml, give the baseline's float files and the calibration samples to the peers,
and measure all files in one run. Results: results/race_fashion_mnist.csv, docs/images/race_fashion_mnist.svg, and tables on
the terminal. An interrupted race goes on in its work folder. --quick tries the script: one epoch, few samples, no results.
"""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

from measuring import save
from race import data, peers, release
from race.measure import Row, contenders, measure
from race.plot import plot
from race.tables import goals, one_seed, over_seeds

from edgewright.report.atomic import write_text

HERE = Path(__file__).parent
NAME = "race_fashion_mnist"


def main() -> None:
    asked = arguments()
    source, work = data.find(), asked.work.absolute() / ("quick" if asked.quick else "full")
    if asked.quick:
        source = data.small(source, work)
    rows: list[Row] = []
    for seed in range(asked.seeds):
        rows += one_race(seed, source, work / f"seed-{seed}", asked)
        folder = {"folder": work} if asked.quick else {}
        print(save(NAME, rows, **folder), flush=True)
    picture = (work if asked.quick else HERE.parent / "docs" / "images") / f"{NAME}.svg"
    plot(rows, picture)
    print(f"{picture}\n\n{over_seeds(rows)}\n\n{goals(rows)}")
    for seed in range(asked.seeds):
        print(f"\nSeed {seed}:\n\n{one_seed(rows, seed)}")
    loads = [row.load for row in rows]
    print(f"\nn = {rows[0].samples:,} test samples, {rows[0].timed_runs} timed runs of each file; "
          f"load average while measuring: {min(loads):.1f} to {max(loads):.1f}, on {os.cpu_count()} cores")  # fmt: skip


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="how many; the first is 0")
    parser.add_argument("--peers", nargs="*", default=list(peers.PEERS), choices=list(peers.PEERS))
    parser.add_argument("--work", type=Path, default=HERE.parent / "build" / "race", help="what is kept between runs")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for training; measuring has one")
    parser.add_argument("--quick", action="store_true", help="one epoch and few samples, to try the script")
    return parser.parse_args()


def one_race(seed: int, source: Path, folder: Path, asked: argparse.Namespace) -> list[Row]:
    """Race with one seed, or read what was measured when it was raced before with the same release and peers."""
    config = release.configure(HERE / f"{NAME}.yaml", seed, source, folder, quick=asked.quick)
    done, made_of = folder / "measured.json", {"release": config.read_text(encoding="utf-8"), "peers": asked.peers}
    if done.is_file() and (before := json.loads(done.read_text(encoding="utf-8")))["made_of"] == made_of:
        print(f"seed {seed}: as measured before; to measure again, remove {done}", flush=True)
        return [Row(**row) for row in before["rows"]]
    print(f"seed {seed}: edgewright run {config}", flush=True)
    released = release.run(config, asked.threads)
    files = {}
    for name in asked.peers:
        print(f"seed {seed}: {name}", flush=True)
        made = peers.make(name, released, folder, asked.work / "environments")
        files.update({way: (peers.PEERS[name].runtime, file) for way, file in made.items()})
    rows = measure(released, contenders(released, files), seed)
    write_text(done, json.dumps({"made_of": made_of, "rows": [asdict(row) for row in rows]}, indent=1))
    return rows


if __name__ == "__main__":
    main()
