# SPDX-License-Identifier: Apache-2.0
"""What was handed in of a board: outputs (.npz, .csv, or a log of the MLPerf Tiny runner) and latencies (.csv or a log).

Everything is held against what was laid out: the same samples, in the same order, values as the file stores them.
"""

import csv
import math
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from edgewright.arrays import UNREADABLE
from edgewright.artifact import ArtifactManifest, TensorSpec
from edgewright.errors import DeviceError
from edgewright.integrations.devices.recorded.mlperf import read_log
from edgewright.runtime import Array

OUTPUTS = ("outputs.npz", "outputs.csv", "outputs.log")
LATENCIES = ("latencies.csv", "latencies.log")
HANDED_IN = (*OUTPUTS, *LATENCIES)
LATENCY_COLUMN = "latency_ms"
_AGAIN = "hand it in again, or remove it"


def handed_in(folder: Path, names: tuple[str, ...]) -> Path | None:
    """Return the one file of these that is there; None where there is none.

    Raises:
        DeviceError: there are several.
    """
    found = [folder / name for name in names if (folder / name).is_file()]
    if len(found) > 1:
        what = " and ".join(file.name for file in found)
        raise DeviceError(f"{what} were both handed in", where=str(folder), to_do="leave the one that counts")
    return found[0] if found else None


def read_latencies(file: Path) -> tuple[float, ...]:
    """Read milliseconds of single inferences.

    Raises:
        DeviceError: the file is damaged, or they are not times of single inferences.
    """
    if file.suffix == ".log":
        runs = [run for run in read_log(file) if run.latency_ms is not None]
        several = next((run for run in runs if run.inferences != 1), None)
        if several is not None:
            raise DeviceError(
                f"the log times {several.inferences} inferences in one go, and their mean says nothing of percentiles",
                where=str(file),
                to_do="run the board with 'infer 1', once for each time",
            )
        times = [run.latency_ms or 0.0 for run in runs]
    else:
        header, rows = _read_csv(file)
        if header != [LATENCY_COLUMN]:
            to_do = f"one column of that name, a line for each inference, in milliseconds; {_AGAIN}"
            raise DeviceError(f"its first line is not {LATENCY_COLUMN!r}", where=str(file), to_do=to_do)
        times = [_number(row[0], file) if row else math.nan for row in rows]
    if not times or not all(0 < time < math.inf for time in times):
        raise DeviceError("latencies are missing, or not positive numbers", where=str(file), to_do=_AGAIN)
    return tuple(times)


def read_outputs(file: Path, ids: list[str], manifest: ArtifactManifest) -> tuple[Array, bool]:
    """Read the outputs of the samples that were laid out.

    Args:
        file: what was handed in.
        ids: of the samples, in order.
        manifest: says shape and type of outputs.

    Returns:
        Outputs (N, …); and whether they are real values, which a log has, or as the file stores them.

    Raises:
        DeviceError: it is damaged, of other samples, in another order, or not of the type that the file stores.
    """
    spec = manifest.outputs[0]
    values = math.prod(abs(axis) for axis in spec.shape[1:])
    real = file.suffix == ".log"
    if real:
        runs = [run for run in read_log(file) if run.results]
        found, raw = [run.sample for run in runs], _table([list(run.results) for run in runs], file)
        values = 1 if manifest.task == "anomaly" else values  # the board's score, where the file's output is a reconstruction
    else:
        found, raw = _read_npz(file, len(ids), values) if file.suffix == ".npz" else _read_table(file)
    _must_be_of(file, [name.rpartition("-")[2] for name in found], [name.rpartition("-")[2] for name in ids])
    if raw.size != len(ids) * values:
        shape, to_do = raw.shape[1:], f"hand in {values} values a sample"
        raise DeviceError(f"outputs have the shape {shape}, the file's have {spec.shape[1:]}", where=str(file), to_do=to_do)
    if real:
        return raw.astype(np.float32).reshape(len(ids), values), True
    return _as_stored(raw, spec, file).reshape(len(ids), *(abs(axis) for axis in spec.shape[1:])), False


def _must_be_of(file: Path, found: list[str], wanted: list[str]) -> None:
    if found == wanted:
        return
    if len(found) != len(wanted):
        what, to_do = f"{len(found)} samples were answered, {len(wanted)} were laid out", "hand in all of them, each once"
    else:
        row = next(at for at, (have, want) in enumerate(zip(found, wanted, strict=True)) if have != want)
        same = sorted(found) == sorted(wanted)
        what = f"outputs are {'in another order than' if same else 'of other samples than'} those laid out, from row {row} on"
        to_do = "keep the samples in the order they are laid out in" if same else "run the samples that lie beside it"
    raise DeviceError(what, where=str(file), to_do=to_do)


def _as_stored(raw: Array, spec: TensorSpec, file: Path) -> Array:
    """Take values in the type that the file stores; what does not fit it was converted on the way."""
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f" and raw.dtype.kind == "f":
        return raw.astype(dtype)
    stored = raw.astype(dtype) if raw.dtype.kind in "iuf" and np.isfinite(raw).all() else None
    if dtype.kind == "f" or stored is None or not np.array_equal(stored, raw):
        raise DeviceError(
            f"outputs are not {spec.dtype}, as the file stores them",
            where=str(file),
            to_do="hand in what stands in the output tensor, before it is turned into real values or classes",
        )
    return stored


def _read_npz(file: Path, count: int, values: int) -> tuple[list[str], Array]:
    largest = count * (8 * values + 256) + 2**16  # of what is laid out and answered; an archive may claim any size
    try:
        with ZipFile(file) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > largest:
                raise ValueError(f"it holds more than outputs of {count} samples")
        with np.load(file, allow_pickle=False) as arrays:
            return [str(name) for name in arrays["id"].ravel()], arrays["outputs"]
    except UNREADABLE as error:
        to_do = f"an .npz of two arrays: id, from inputs.npz, and outputs; {_AGAIN}"
        raise DeviceError(f"outputs cannot be read: {error}", where=str(file), to_do=to_do) from error


def _read_table(file: Path) -> tuple[list[str], Array]:
    header, rows = _read_csv(file)
    if header[:1] != ["id"]:
        to_do = f"a line a sample: its id, and one column for each value; {_AGAIN}"
        raise DeviceError("its first column is not 'id'", where=str(file), to_do=to_do)
    return [row[0] for row in rows if row], _table([[_number(cell, file) for cell in row[1:]] for row in rows if row], file)


def _table(rows: list[list[float]], file: Path) -> Array:
    if len({len(row) for row in rows}) > 1:
        raise DeviceError("samples have different numbers of values", where=str(file), to_do=_AGAIN)
    return np.asarray(rows, np.float64)


def _read_csv(file: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            header, *rows = [*csv.reader(stream)] or [[]]
    except (OSError, ValueError, csv.Error) as error:
        raise DeviceError(f"the file cannot be read: {error}", where=str(file), to_do=_AGAIN) from error
    return [name.strip() for name in header], rows


def _number(text: Any, file: Path) -> float:
    try:
        return float(text)
    except ValueError:
        raise DeviceError(f"{text!r} is not a number", where=str(file), to_do=_AGAIN) from None
