# SPDX-License-Identifier: Apache-2.0
"""Load data: read the sources, resolve labels and layout, split, and keep it all as one Dataset."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.config.data import FIRST_BATCH, SPLITS, DataSpec, Preprocessing, SplitName, Splits, Task
from edgewright.data.dataset import DataCard, Dataset
from edgewright.data.join import join
from edgewright.data.labels import are_indexes, encode
from edgewright.data.samples import Parts, Samples
from edgewright.data.sources import read
from edgewright.data.split import check_classes, draw, shares_of
from edgewright.errors import DataError, StoreError
from edgewright.fingerprint import of_code, of_path
from edgewright.onboard.preprocess import guess_layout
from edgewright.plugins import working_folder_on_path

Array = NDArray[Any]
#: samples written at once, so that a split is never held twice in memory
BLOCK = 4096
TRAIN: SplitName = "train"


def load_dataset(spec: DataSpec, task: Task, seed: int, out: Path) -> Dataset:
    """Read, encode and split the data, and write it into ``out`` as a Dataset; the same content gives the same Dataset.

    Samples wider than 32 bits are stored as float32, which is what models take.

    Raises:
        DataError: the data cannot be read, split or trusted; the message names rows or files.
        StoreError: ``out`` holds something already.
    """
    _must_be_empty(out)
    if not spec.added:
        return _load_batch(spec, task, seed, out)
    fractions = {split: value for split, value in spec.splits if split in spec.splits.model_fields_set}
    drawn = Splits() if any(isinstance(value, str) for value in fractions.values()) else spec.splits
    with tempfile.TemporaryDirectory(prefix="edgewright-batches-") as folder:
        first = _load_batch(spec, task, seed, Path(folder) / FIRST_BATCH)
        batches = {FIRST_BATCH: first}
        for batch in spec.added:
            like = {"source": batch.source, "splits": drawn, "labels": first.card.labels or spec.labels}
            own = spec.model_copy(update={**like, "added": ()})
            batches[batch.name] = _load_batch(own, task, seed, Path(folder) / batch.name, whole=False)
        return join(batches, source_digest(spec), seed, out)


def _load_batch(spec: DataSpec, task: Task, seed: int, out: Path, *, whole: bool = True) -> Dataset:
    """Load one batch; only what is ``whole`` needs samples of every class."""
    _must_be_empty(out)
    parts = _gather(spec, task)
    first = _same_kind(parts)
    labels, encoded = encode(parts, spec.labels, task)
    splits = _split(spec, task, seed, parts, encoded, labels)
    y = {split: encoded[part][rows] for split, (part, rows) in splits.items()}
    origin = {split: parts[part].origin[rows] for split, (part, rows) in splits.items()}
    if whole:
        check_classes(y, origin, labels, task)
    card = DataCard(
        source=" + ".join(_name(source) for source in _sources(spec).values()),
        task=task,
        labels=labels,
        sample_shape=first.x.shape[1:],
        sample_dtype=_stored_dtype(first.x).name,
        features=first.features,
        preprocessing=_with_layout(spec.preprocessing, first.x.shape[1:]),
        counts={split: len(y[split]) for split in SPLITS},
        source_digest=source_digest(spec),
    )
    for split, (part, rows) in splits.items():
        _write(out / f"{split}_x.npy", parts[part].x, rows)
        np.save(out / f"{split}_y.npy", y[split])
        np.save(out / f"{split}_origin.npy", origin[split])
    return Dataset.seal(out, card)


def load_test(spec: DataSpec, task: Task, out: Path, classes: int | None = None) -> Dataset:
    """Read one source whole as test data, in its order, or the test split it brings: nothing is drawn, so a few samples do.

    Args:
        spec: its splits are not looked at.
        task: what labels are.
        out: empty folder.
        classes: how many classes the file to be judged has, where that is known: integer labels are indexes into them, so
            that a class without a sample moves none of the others.

    Raises:
        DataError: the data cannot be read or trusted, or names other classes than there are.
        StoreError: ``out`` holds something already.
    """
    _must_be_empty(out)
    parts = read(spec.source, spec, task)
    samples = parts.get("test", next(iter(parts.values())))
    if len(parts) > 1 and "test" not in parts:
        raise DataError(
            f"{_name(spec.source)} holds {', '.join(parts)}, and no test split", to_do="store x and y, or x_test and y_test"
        )
    known = spec.labels or samples.labels or None
    if known is None and classes and task == "classification" and are_indexes(samples.y):
        known = tuple(str(index) for index in range(classes))
    labels, encoded = encode({"test": samples}, known, task)
    card = DataCard(
        source=_name(spec.source),
        task=task,
        labels=labels,
        sample_shape=samples.x.shape[1:],
        sample_dtype=_stored_dtype(samples.x).name,
        features=samples.features,
        preprocessing=_with_layout(spec.preprocessing, samples.x.shape[1:]),
        counts={"test": len(samples.x)},
        source_digest=source_digest(spec.model_copy(update={"splits": Splits()})),
    )
    _write(out / "test_x.npy", samples.x, np.arange(len(samples.x)))
    np.save(out / "test_y.npy", encoded["test"])
    np.save(out / "test_origin.npy", samples.origin)
    return Dataset.seal(out, card)


def source_digest(spec: DataSpec) -> str:
    """Digest the content of all sources: files, the code of functions, the version of scikit-learn for digits.

    What a function reads or downloads is not seen; a function whose data changes must say so in its code.

    Raises:
        DataError: there is nothing at a path.
    """
    digest = hashlib.sha256()
    added = {f"added {batch.name}": batch.source for batch in spec.added}
    for role, source in {**_sources(spec), **added}.items():
        if source == "digits":
            found = f"scikit-learn=={version('scikit-learn')}"
        elif ":" in source and not Path(source).exists():
            with working_folder_on_path():
                found = of_code(source.partition(":")[0])
        else:
            found = of_path(Path(source))
        digest.update(f"{role}\0{found}\0".encode())
    return digest.hexdigest()


def _sources(spec: DataSpec) -> dict[str, str]:
    """Every source that is read, by what it is read for: 'source', or the split."""
    given: dict[str, str] = {split: value for split in SPLITS if isinstance(value := getattr(spec.splits, split), str)}
    if TRAIN not in given:
        return {"source": spec.source, **given}
    if spec.source not in ("digits", given[TRAIN]):
        raise DataError(
            f"{_name(spec.source)} would not be read: train has a source of its own, {_name(given[TRAIN])}",
            where="data.source and data.splits.train",
            to_do="leave one of them out",
        )
    return given


def _gather(spec: DataSpec, task: Task) -> Parts:
    """Samples by split: the splits that have a source of their own, and train, from which the others are drawn."""
    sources = _sources(spec)
    parts: Parts = {}
    for role, source in sources.items():
        own = read(source, spec, task)
        if len(sources) > 1:
            own = {split: _with_prefix(samples, source) for split, samples in own.items()}
        if role == "source":
            parts = own
            continue
        split = next(name for name in SPLITS if name == role)
        if split in parts or len(own) != 1:
            twice = f"{split} has two sources: {_name(spec.source)} holds it as well"
            raise DataError(
                twice
                if split in parts
                else f"{_name(source)} holds several splits ({', '.join(own)}), it is to be {split} alone",
                where=f"data.splits.{split}",
                to_do="name one source of the split"
                if split in parts
                else "make it data.source, or give each split its own file",
            )
        parts[split] = next(iter(own.values()))
    if TRAIN not in parts:
        raise DataError("there is no train split", where=_name(spec.source), to_do="give train a source: data.splits.train")
    return parts


def _with_prefix(samples: Samples, source: str) -> Samples:
    """Tell rows of several sources apart: 'test.csv row 17', 'test/cats/1.png'."""
    prefix = _name(source) + ("/" if Path(source).is_dir() else " ")
    return replace(samples, origin=np.strings.add(prefix, samples.origin))


def _same_kind(parts: Parts) -> Samples:
    """Return the samples of train after all others were found to be of the same shape, dtype and columns."""
    first = parts[TRAIN]
    for samples in parts.values():
        for what, here, there in (
            ("shape", samples.x.shape[1:], first.x.shape[1:]),
            ("dtype", _stored_dtype(samples.x), _stored_dtype(first.x)),
            ("columns", samples.features, first.features),
        ):
            if here != there:
                raise DataError(
                    f"samples differ in {what}: {here} here, {there} in {first.where}",
                    where=samples.where,
                    to_do="store all splits the same way",
                )
    return first


def _split(
    spec: DataSpec, task: Task, seed: int, parts: Parts, encoded: Mapping[SplitName, Array], labels: tuple[str, ...]
) -> dict[SplitName, tuple[SplitName, Array]]:
    """Say for each split which part it comes from and which rows of it, in order."""
    shares = shares_of(spec.splits, [split for split in SPLITS if split == TRAIN or split not in parts])
    drawn = draw(encoded[TRAIN], labels, shares, task, seed)
    return {split: (TRAIN, drawn[split]) if split in drawn else (split, np.arange(len(encoded[split]))) for split in SPLITS}


def _with_layout(preprocessing: Preprocessing, sample: tuple[int, ...]) -> Preprocessing:
    layout = preprocessing.layout or ("L" if preprocessing.front_end is not None else guess_layout(sample))
    axes = len(layout) if layout else None
    if axes != len(sample):
        valid = {1: "F or L", 2: "HW, LC or CL", 3: "HWC or CHW"}.get(len(sample))
        said = f"layout {layout} does not fit samples" if layout else "it is not clear what the axes are of samples"
        raise DataError(
            f"{said} of shape {sample}",
            where="data.preprocessing.layout",
            to_do=f"set it to {valid}" if valid else "store samples with one to three axes",
        )
    return preprocessing.model_copy(update={"layout": layout})


def _stored_dtype(x: Array) -> np.dtype[Any]:
    return np.dtype(np.float32) if x.dtype.itemsize > 4 else x.dtype.newbyteorder("=")


def _write(file: Path, x: Array, rows: Array) -> None:
    dtype = _stored_dtype(x)
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (len(rows), *x.shape[1:])}
    # Not a memory map: where the disk is full, writing into one ends the process without a word (SIGBUS).
    with file.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for start in range(0, len(rows), BLOCK):
            stream.write(np.ascontiguousarray(x[rows[start : start + BLOCK]], dtype).tobytes())


def _must_be_empty(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise StoreError("the folder of a dataset must be empty at first", where=str(out), to_do="choose another folder")


def _name(source: str) -> str:
    return Path(source).name if Path(source).exists() else source
