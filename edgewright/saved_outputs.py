# SPDX-License-Identifier: Apache-2.0
"""Outputs of every sample, kept in a .npz file: to look at, and to hold other files against.

`outputs` (N, …) float32 is all that has to be in it, so that outputs of anything can be compared. edgewright adds `samples`
(N,), a digest of each stored sample, so that other samples or another order are found; `origin` (N,), where each came
from; `labels`, the names of the outputs; and `model` and `runtime`, what answered.
"""

import hashlib
import io
from pathlib import Path
from zipfile import ZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray

from edgewright.arrays import UNREADABLE
from edgewright.artifact import Artifact
from edgewright.data.dataset import Dataset
from edgewright.errors import ConfigError, StoreError
from edgewright.report.atomic import write_bytes

OUTPUTS, SAMPLES = "outputs", "samples"
_DIGITS = 16


def save_outputs(file: Path, outputs: NDArray[np.float32], dataset: Dataset, artifact: Artifact, runtime: str) -> None:
    """Write the outputs of the dataset's test samples, in their order, with what tells which samples they belong to.

    Raises:
        StoreError: the file cannot be written.
    """
    arrays = {
        OUTPUTS: np.asarray(outputs, np.float32),
        SAMPLES: _digests(dataset),
        "origin": np.array(dataset.origin("test")),
        "labels": np.array(dataset.card.labels, dtype=str),
        "model": np.array(f"{artifact.facts.file} sha256:{artifact.digest}"),
        "runtime": np.array(runtime),
    }
    archive = io.BytesIO()
    np.savez_compressed(archive, allow_pickle=False, **arrays)
    write_bytes(file, archive.getvalue())


def holds_outputs(file: Path) -> bool:
    """Whether a file is an archive with an array of outputs, and no exported file."""
    if file.suffix != ".npz" or not is_zipfile(file):
        return False
    with ZipFile(file) as archive:
        return f"{OUTPUTS}.npy" in archive.namelist()


def read_outputs(file: Path, dataset: Dataset) -> NDArray[np.float32]:
    """Read outputs (N, K), or (N,) scores, of the dataset's test samples.

    Raises:
        ConfigError: they are of other samples, or in another order.
        StoreError: it is no such file.
    """
    to_do = "write it with --save-outputs, or with numpy.savez(file, outputs=array of one row a sample)"
    try:
        with np.load(file, allow_pickle=False) as archive:
            outputs = np.asarray(archive[OUTPUTS], np.float32)
            digests = archive[SAMPLES] if SAMPLES in archive.files else None
    except UNREADABLE as error:
        raise StoreError(f"no readable outputs: {error}", where=str(file), to_do=to_do) from error
    count = dataset.card.counts["test"]
    if not outputs.ndim or len(outputs) != count:
        raise ConfigError(
            f"the file holds outputs of shape {outputs.shape}, and there are {count} samples",
            where=str(file),
            to_do="give the samples it was made from as --data, or make it again from these",
        )
    if digests is not None:
        _must_be_the_same(digests, dataset, file)
    return outputs.reshape(count, -1) if outputs.ndim > 1 else outputs


def _must_be_the_same(digests: NDArray[np.str_], dataset: Dataset, file: Path) -> None:
    ours = _digests(dataset)
    if digests.shape == ours.shape and (digests == ours).all():
        return
    if sorted(digests.ravel().tolist()) == sorted(ours.tolist()):
        what, to_do = "the file holds the same samples in another order", "give --data in the order it was made in"
    else:
        unknown = int((~np.isin(ours, digests)).sum())
        what = f"the file holds outputs of other samples: it has none for {unknown} of {len(ours)}"
        to_do = "give the samples it was made from as --data, or make it again from these"
    raise ConfigError(what, where=str(file), to_do=to_do)


def _digests(dataset: Dataset) -> NDArray[np.str_]:
    """Of each stored sample, its type and shape included: the first digits (hex) of a sha256."""
    stored = dataset.stored("test")
    kind = f"{stored.dtype.str}{stored.shape[1:]}".encode()
    return np.array([hashlib.sha256(kind + np.ascontiguousarray(one).tobytes()).hexdigest()[:_DIGITS] for one in stored])
