# SPDX-License-Identifier: Apache-2.0
"""The table all rules are held against, one row a sample, all splits below each other.

Tables of up to 256 features bring their columns. Of images, signals and wider tables a row holds what can be said of the
sample: minimum, maximum, mean, n_missing, missing_share, shape, dtype. Every row has split, label, origin and sha256.
"""

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewright.config.data import SPLITS, SplitName
from edgewright.data.dataset import Dataset
from edgewright.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[Any]
WIDEST = 256
#: values looked at in one go, so that a large split is never copied whole
BLOCK_VALUES = 2**22


def table_of(data: Dataset) -> "pd.DataFrame":
    """Build the table.

    Raises:
        DataError: a feature bears the name of a column of ours.
    """
    import pandas as pd

    return pd.concat([_of_split(data, split) for split in SPLITS], ignore_index=True)


def feature_columns(data: Dataset) -> tuple[str, ...]:
    """Names of the table's own columns; empty where a row only describes the sample."""
    shape = data.card.sample_shape
    if len(shape) != 1 or shape[0] > WIDEST:
        return ()
    return data.card.features or tuple(f"feature_{index}" for index in range(shape[0]))


def label_columns(data: Dataset) -> tuple[str, ...]:
    """'label', or 'label_0' and so on where a sample has several."""
    several = data.outputs if data.card.task == "regression" else 1
    return ("label",) if several == 1 else tuple(f"label_{index}" for index in range(several))


def _of_split(data: Dataset, split: SplitName) -> "pd.DataFrame":
    import pandas as pd

    features = feature_columns(data)
    x = data.stored(split)
    frame = pd.DataFrame(x, columns=list(features)) if features else pd.DataFrame(_described(x))
    ours = {"split": split, **_labels(data, split), "origin": data.origin(split), "sha256": [_sha256(sample) for sample in x]}
    taken = sorted(set(ours) & set(features))
    if taken:
        raise DataError(
            f"a feature is called {taken[0]!r}, as a column of ours", where=data.card.source, to_do="rename the feature"
        )
    return frame.assign(**ours)


def _labels(data: Dataset, split: SplitName) -> dict[str, Any]:
    labels = np.asarray(data.labels(split))
    if data.card.task == "classification":
        names = data.card.labels
        return {"label": [names[index] if 0 <= index < len(names) else str(index) for index in labels]}
    return dict(zip(label_columns(data), labels.reshape(len(labels), -1).T, strict=True))


def _described(x: Array) -> dict[str, Any]:
    """Minimum, maximum and mean over each sample's values that are not missing."""
    size = int(np.prod(x.shape[1:]))
    block = max(1, BLOCK_VALUES // size)
    low, high, mean, missing = (np.empty(len(x)) for _ in range(4))
    for start in range(0, len(x), block):
        part = slice(start, start + block)
        values = np.asarray(x[part]).reshape(-1, size).astype(np.float64)
        absent = np.isnan(values)
        missing[part] = absent.sum(axis=1)
        low[part], high[part] = np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1)
        with np.errstate(invalid="ignore"):  # a sample that is missing altogether has no mean
            mean[part] = np.where(absent, 0, values).sum(axis=1) / (size - missing[part])
    shape = str(x.shape[1:])
    described = {
        "minimum": low,
        "maximum": high,
        "mean": mean,
        "n_missing": missing.astype(int),
        "missing_share": missing / size,
    }
    return {**described, "shape": shape, "dtype": x.dtype.name}


def _sha256(sample: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(sample).tobytes()).hexdigest()
