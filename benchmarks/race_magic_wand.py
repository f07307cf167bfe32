# SPDX-License-Identifier: Apache-2.0
"""The race on strokes of a magic wand: 1-D CNN, for a microcontroller. Goals: 98 % top-1, a file of 16 kB, an arena of 8 kB.

    python benchmarks/race_magic_wand.py [--seeds 3] [--work build/race_magic_wand]

For each seed: release race_magic_wand.yaml. Results: results/race_magic_wand.csv, docs/images/race_magic_wand.svg, and tables
on the terminal. An interrupted race goes on in its work folder.
"""

from magic_wand import ARCHIVE
from micro.command import main
from micro.tables import Goals

GOALS = Goals(top1=0.98, size_bytes=16_384, arena_bytes=8_192)

if __name__ == "__main__":
    main("race_magic_wand", "Magic wand strokes: the climb of each seed", __doc__, ARCHIVE, GOALS)
