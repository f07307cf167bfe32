# SPDX-License-Identifier: Apache-2.0
"""The command line that the races for microcontrollers share: seeds, work folder, results, picture, tables."""

import argparse
import os
from pathlib import Path

from measuring import save

from micro.archives import Archive
from micro.plot import plot
from micro.release import HERE, Row, race
from micro.tables import Goals, climb, goals, results


def main(name: str, title: str, about: str | None, archive: Archive, asked: Goals) -> None:
    """Race with every seed and publish: results/<name>.csv, docs/images/<name>.svg, and Markdown on the terminal."""
    arguments = _arguments(name, about)
    archive.require()
    rows: list[Row] = []
    for seed in range(arguments.seeds):
        rows += race(name, archive, seed, arguments.work.absolute() / f"seed-{seed}")
        print(save(name, rows), flush=True)
    picture = HERE.parent / "docs" / "images" / f"{name}.svg"
    plot(rows, asked, title, picture)
    print(f"{picture}\n\n{results(rows)}\n\n{climb(rows)}\n\n{goals(rows, asked)}\n")
    loads = [row.load for row in rows]
    kinds = sorted({row.arena_evidence for row in rows} - {""})
    print(f"Arena: {', '.join(kinds) or 'unknown'}. {arguments.seeds} seeds; "
          f"load average at the end of each: {min(loads):.1f} to {max(loads):.1f}, on {os.cpu_count()} cores")  # fmt: skip


def _arguments(name: str, about: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="how many; the first is 0")
    parser.add_argument("--work", type=Path, default=HERE.parent / "build" / name, help="what is kept between runs")
    return parser.parse_args()
