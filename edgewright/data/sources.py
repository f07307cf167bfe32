# SPDX-License-Identifier: Apache-2.0
"""Sources: turn 'digits', a file, a folder or a function into samples, by the form of its name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from zipfile import is_zipfile

import numpy as np
from numpy.typing import NDArray

from edgewright.arrays import UNREADABLE
from edgewright.config.data import SPLITS, DataSpec, SplitName, Task
from edgewright.data.images import read_folder
from edgewright.data.samples import Parts, Samples, checked, rows
from edgewright.data.tables import TABLES, read_table
from edgewright.errors import DataError, nearest
from edgewright.plugins import load_object

Array = NDArray[Any]
FORMS = "'digits', a .npz, .csv or .parquet file, a folder of class folders with images, or 'module:function'"


def read(source: str, spec: DataSpec, task: Task) -> Parts:
    """Read a source: its own splits by name, or everything under 'train'.

    Raises:
        DataError: there is no such source, or it does not hold what its form promises.
    """
    path = Path(source)
    images = source != "digits" and path.is_dir()
    if spec.image_size is not None and not images:
        raise DataError("image_size is for image folders", where=f"data.image_size (source: {source})", to_do="leave it out")
    if images:
        parts = read_folder(path, spec.image_size)
    elif source == "digits":
        parts = {"train": _digits()}
    elif path.suffix == ".npz" or path.suffix in TABLES:
        _must_exist(path)
        parts = _npz(path) if path.suffix == ".npz" else {"train": read_table(path, spec.label_column, task)}
    elif ":" in source:
        parts = _function(source)
    else:
        raise _unknown(path)
    return {name: checked(samples) for name, samples in parts.items()}


def _digits() -> Samples:
    """1797 handwritten digits of 8x8 values 0..16 (UCI ML repository, shipped with scikit-learn)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    labels = tuple(str(name) for name in bunch.target_names)
    return Samples(bunch.images.astype(np.float32), bunch.target, rows(len(bunch.target)), "digits", labels)


def _npz(path: Path) -> Parts:
    """Read x and y, and x_<split> and y_<split> of the splits there are; `labels` may name the classes."""
    if not is_zipfile(path):
        raise DataError(
            "the archive cannot be read: it was cut short, or is no .npz file",
            where=str(path),
            to_do="write it with numpy.savez",
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            pairs = _pairs(set(archive.files), path)
            labels = tuple(str(name) for name in archive["labels"]) if "labels" in archive.files else ()
            return {split: _pair(archive, pair, labels, path, several=len(pairs) > 1) for split, pair in pairs.items()}
    except UNREADABLE as error:
        raise DataError(
            f"the archive cannot be read: {error}",
            where=str(path),
            to_do="write it with numpy.savez, without Python objects (they would have to be unpickled, which can run any code)",
        ) from error


def _pair(archive: Any, keys: tuple[str, str], labels: tuple[str, ...], path: Path, *, several: bool) -> Samples:
    x, y = (archive[key] for key in keys)  # each look-up reads the array anew
    count = len(x) if x.ndim else 0
    return Samples(x, y, rows(count, keys[0] if several else ""), f"{path} ({', '.join(keys)})", labels)


def _pairs(keys: set[str], path: Path) -> dict[SplitName, tuple[str, str]]:
    """Keys of each split's samples and labels; an x or y that belongs to no pair is an error, not ignored."""
    train = ("x", "y") if keys & {"x", "y"} else ("x_train", "y_train")
    pairs: dict[SplitName, tuple[str, str]] = {split: (f"x_{split}", f"y_{split}") for split in SPLITS} | {"train": train}
    present = {split: pair for split, pair in pairs.items() if keys & set(pair)}
    known = {key for pair in present.values() for key in pair}
    lacking = sorted(known - keys) or ([] if "train" in present or len(present) == 1 else ["x_train"])
    strange = sorted(key for key in keys - known if key in ("x", "y") or key.startswith(("x_", "y_")))
    if lacking or strange:
        raise DataError(
            f"the archive holds {', '.join(sorted(keys)) or 'nothing'}; "
            + (f"{lacking[0]} is missing" if lacking else f"{strange[0]} belongs to no split"),
            where=str(path),
            to_do="store x and y, or x_train, y_train, x_test, y_test (also calibration, validation), and labels if you like",
        )
    return present


def _function(source: str) -> Parts:
    """Call 'module:function' without arguments and take (x, y), or a dictionary of them by split."""
    function = load_object(source, asked_for="data.source")
    try:
        returned = function()
    except (Exception, SystemExit) as error:
        module, _, name = source.partition(":")
        raise DataError(
            f"the function raised {type(error).__name__}: {error}",
            where=source,
            to_do=f"it is called without arguments; try it: python -c 'import {module}; {module}.{name}()' (in {Path.cwd()})",
        ) from error
    if not isinstance(returned, Mapping):
        return {"train": _returned(returned, source, "")}
    strange = [str(name) for name in returned if name not in SPLITS]
    if strange or "train" not in returned:
        what = f"the function returned a dictionary with the keys {', '.join(map(str, returned)) or '(none)'}"
        hint = nearest(strange[0], SPLITS) if strange else "'train' is missing"
        raise DataError(what, where=source, to_do=f"its keys are names of splits; {hint}")
    return {cast(SplitName, name): _returned(pair, source, str(name)) for name, pair in returned.items()}


def _returned(pair: Any, source: str, split: str) -> Samples:
    if not (isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(item, np.ndarray) for item in pair)):
        got = f"({', '.join(type(item).__name__ for item in pair)})" if isinstance(pair, tuple | list) else type(pair).__name__
        raise DataError(
            f"the function returned {got}" + (f" for {split!r}" if split else ""),
            where=source,
            to_do="return (x, y) as NumPy arrays, or {'train': (x, y), 'test': (x, y), …}",
        )
    return Samples(pair[0], pair[1], rows(len(pair[0]) if pair[0].ndim else 0, split), f"{source} {split}".strip())


def _must_exist(path: Path) -> None:
    if not path.is_file():
        others = [file.name for file in path.parent.glob("*") if file.suffix == path.suffix] if path.parent.is_dir() else []
        raise DataError(
            f"there is no file {path.name!r}",
            where=str(path),
            to_do=nearest(path.name, others) if others else "check data.source (paths start from the folder of release.yaml)",
        )


def _unknown(path: Path) -> DataError:
    if path.exists():
        return DataError(
            f"files of type {path.suffix or '(none)'!r} are not read", where=str(path), to_do=f"a source is {FORMS}"
        )
    return DataError(
        f"there is no file, folder or built-in data set {str(path)!r}", where="data.source", to_do=f"a source is {FORMS}"
    )
