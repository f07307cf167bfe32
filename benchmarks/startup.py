# SPDX-License-Identifier: Apache-2.0
"""How soon the command line answers, against an empty Python process.

python benchmarks/startup.py [--rounds 15]
"""

import argparse
import os
import sys
from pathlib import Path

from measuring import Taken, load, process, save, show

EDGEWRIGHT = str(Path(sys.executable).with_name("edgewright"))
WAYS = {
    "empty process": [sys.executable, "-c", "pass"],
    "import click": [sys.executable, "-c", "import click"],
    "--help": [EDGEWRIGHT, "--help"],
    "run --help": [EDGEWRIGHT, "run", "--help"],
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=15)
    taken = [
        Taken("start-up", way, number, *process(command, Path(os.devnull), Path.cwd()), load())
        for number in range(arguments.parse_args().rounds)
        for way, command in WAYS.items()
    ]
    print(save("startup", taken))
    show(taken, "empty process")


if __name__ == "__main__":
    main()
