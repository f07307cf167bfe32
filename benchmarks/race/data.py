# SPDX-License-Identifier: Apache-2.0
"""Fashion-MNIST for the race: where it lies, what it has to hold, and a small part of it to try the script with."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np

FILE = "fashion_mnist.npz"
BESIDE = Path(__file__).parents[2].parent / "shared" / "data"
SHAPES = {"x_train": (60_000, 28, 28), "y_train": (60_000,), "x_test": (10_000, 28, 28), "y_test": (10_000,)}
#: of the quick try: a pool of which 2,000 samples are for training, and test samples
QUICK_POOL, QUICK_TEST = 2_353, 1_000

HELP = f"""Fashion-MNIST (Zalando Research, MIT licence) is published at https://github.com/zalandoresearch/fashion-mnist.
Save it as {FILE}, with numpy.savez_compressed, and name its folder in EDGEWRIGHT_DATA. It holds, as uint8:
""" + "\n".join(f"  {key}  {shape}" for key, shape in SHAPES.items())


def find() -> Path:
    """Return the archive; without one that holds what it has to, say what is wanted and end with exit code 2."""
    file = Path(os.environ.get("EDGEWRIGHT_DATA") or BESIDE).absolute() / FILE
    if not file.is_file():
        stop(f"there is no {file}")
    try:
        with np.load(file, allow_pickle=False) as stored:
            found = {key: stored[key].shape for key in stored.files}
    except (OSError, ValueError) as error:
        stop(f"{file} cannot be read: {error}")
    if {key: found.get(key) for key in SHAPES} != SHAPES:
        stop(f"{file} holds {found}")
    return file


def small(file: Path, folder: Path) -> Path:
    """Write the first samples of the archive into a small one, and return that."""
    with np.load(file, allow_pickle=False) as stored:
        counts = {"train": QUICK_POOL, "test": QUICK_TEST}
        part = {f"{what}_{split}": stored[f"{what}_{split}"][:count] for split, count in counts.items() for what in "xy"}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / FILE, **part)
    return folder / FILE


def stop(problem: str) -> NoReturn:
    print(f"{problem}\n\n{HELP}", file=sys.stderr)
    sys.exit(2)
