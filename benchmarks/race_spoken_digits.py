# SPDX-License-Identifier: Apache-2.0
"""The race on spoken digits: DS-CNN on MFCCs, for a microcontroller. Goals: 97 % top-1, a file of 30 kB, an arena of 24 kB.

    python benchmarks/race_spoken_digits.py [--seeds 3] [--work build/race_spoken_digits]

For each seed: release race_spoken_digits.yaml. Results: results/race_spoken_digits.csv, docs/images/race_spoken_digits.svg, and
tables on the terminal. An interrupted race goes on in its work folder.
"""

from micro.command import main
from micro.tables import Goals
from spoken_digits import ARCHIVE

GOALS = Goals(top1=0.97, size_bytes=30_000, arena_bytes=24_576)

if __name__ == "__main__":
    main("race_spoken_digits", "Spoken digits: the climb of each seed", __doc__, ARCHIVE, GOALS)
