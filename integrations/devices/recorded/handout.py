# SPDX-License-Identifier: Apache-2.0
"""What a board has to run, laid out in folders that are named by their content, and are whole or not there.

FOLDER/model-1f0c… holds the file with all that belongs to it; samples-77ab… in it holds samples as the file takes them,
prepared and quantized, each with its id.
"""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgewright.artifact import TensorSpec
from edgewright.bundle import copy_whole
from edgewright.onboard.digest import sha256_of
from edgewright.runtime import Array

_DIGITS = 12


def lay_out_model(folder: Path, files: tuple[Path, ...]) -> Path:
    """Copy a file and all that belongs to it; return the folder."""
    whole = [file for part in files for file in ([part] if part.is_file() else sorted(part.rglob("*"))) if file.is_file()]
    digest = hashlib.sha256("".join(sha256_of(file) for file in whole).encode()).hexdigest()

    def write(into: Path) -> None:
        for part in files:
            copy_whole(part, into / part.name)

    return _lay_out(folder / f"{files[0].stem}-{digest[:_DIGITS]}", write)


def lay_out_samples(model: Path, ready: Array, output: TensorSpec, form: str) -> Path:
    """Write samples (N, …) as the file takes them, and their ids; return the folder."""
    digest = hashlib.sha256(f"{ready.dtype}{ready.shape}".encode() + ready.tobytes()).hexdigest()

    def write(into: Path) -> None:
        ids = ids_of(ready)
        if form == "npz":
            np.savez(into / "inputs.npz", id=np.array(ids), inputs=ready)
            return
        for name, sample in zip(ids, ready, strict=True):
            (into / f"{name}.bin").write_bytes(sample.tobytes())
        # the runner wants a class; nobody knows it here, so what the runner says of accuracy means nothing
        lines = "".join(f"{name}.bin,{output.shape[-1]},0\n" for name in ids)
        (into / "y_labels.csv").write_text(lines, encoding="ascii")

    return _lay_out(model / f"samples-{digest[:_DIGITS]}", write)


def ids_of(ready: Array) -> list[str]:
    """Ids of samples (N, …): the row, and the beginning of the sha256 of the bytes that the file takes."""
    return [f"{row:06d}-{digest_of(sample.tobytes())}" for row, sample in enumerate(ready)]


def digest_of(sample: bytes) -> str:
    """The part of an id that says which sample it is."""
    return hashlib.sha256(sample).hexdigest()[:_DIGITS]


def _lay_out(place: Path, write: Callable[[Path], None]) -> Path:
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".laying-out-") as name:
            staged = Path(name) / place.name
            staged.mkdir()
            write(staged)
            staged.rename(place)
    return place
