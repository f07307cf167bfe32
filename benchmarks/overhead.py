# SPDX-License-Identifier: Apache-2.0
"""What a release costs above the toolkits: the demo by edgewright, against the same toolkits called by a script of one's own.

    python benchmarks/overhead.py [--rounds 3]

Three ways, in turn, each from nothing (own ZenML store, own MLflow store, own output): `bare_demo.py` (no pipeline at all),
`bare_zenml.py` (its stages as ZenML steps), and `edgewright run overhead.yaml`, the demo with its ladder written by hand.
Also a second run of edgewright with nothing changed.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from measuring import Taken, load, process, save, show

HERE = Path(__file__).parent
EDGEWRIGHT = Path(sys.executable).with_name("edgewright")
DEMO = HERE / "overhead.yaml"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=3)
    taken: list[Taken] = []
    for number in range(arguments.parse_args().rounds):
        with tempfile.TemporaryDirectory(prefix="overhead-") as name:
            taken += one_round(Path(name), number)
        print(save("overhead", taken), flush=True)
    show(taken, "script")
    show(taken, "script in ZenML")


def one_round(folder: Path, number: int) -> list[Taken]:
    released, scripted, stepped = (folder / name for name in ("edgewright", "script", "zenml"))
    for each in (released, scripted, stepped):
        each.mkdir()
    shutil.copy(DEMO, released)
    release = ([str(EDGEWRIGHT), "run", DEMO.name], released)
    ways = {
        "script": ([sys.executable, str(HERE / "bare_demo.py"), str(scripted)], scripted),
        "script in ZenML": ([sys.executable, str(HERE / "bare_zenml.py"), str(stepped)], stepped),
        "edgewright": release,
        "edgewright again": release,
    }
    taken = []
    for way, (command, where) in ways.items():
        busy = load()
        wall, cpu = process(command, folder / f"{way}.log", where, ZENML_CONFIG_PATH=str(where / ".zenml"))
        taken.append(Taken("demo", way, number, wall, cpu, busy))
        print(f"round {number}: {way:18} {wall:6.1f} s, processor {cpu:6.1f} s", flush=True)
    return taken


if __name__ == "__main__":
    main()
