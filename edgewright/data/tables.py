# SPDX-License-Identifier: Apache-2.0
"""CSV and Parquet: numeric feature columns and one label column."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewright.config.data import Task
from edgewright.data.samples import Samples, rows
from edgewright.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[Any]
TABLES = (".csv", ".parquet")


def read_table(path: Path, label_column: str, task: Task) -> Samples:
    """Read a table; every column but the label is a feature, stored as float32 (missing values as NaN).

    Raises:
        DataError: the file cannot be read, the label column is missing, or a feature is not numeric.
    """
    frame = _frame(path, label_column, task)
    if label_column not in frame.columns:
        raise DataError(
            f"there is no column {label_column!r}",
            where=str(path),
            to_do=f"set data.label_column; {nearest(label_column, map(str, frame.columns))}",
        )
    _named_columns(frame, path)
    features = [column for column in frame.columns if column != label_column]
    x = np.empty((len(frame), len(features)), np.float32)
    for index, column in enumerate(features):
        x[:, index] = _numbers(frame[column], path)
    y = _numbers(frame[label_column], path) if task == "regression" else _labels(frame[label_column], path)
    return Samples(x, y, rows(len(frame)), str(path), features=tuple(map(str, features)))


def _frame(path: Path, label_column: str, task: Task) -> "pd.DataFrame":
    import pandas as pd

    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        # Text keeps labels as they are written: '01' must not become 1.
        return pd.read_csv(path, dtype=None if task == "regression" else {label_column: str})
    except (OSError, ValueError) as error:  # pandas and pyarrow derive their parse errors from ValueError
        raise DataError(
            f"the table cannot be read: {error}", where=str(path), to_do="check that the file is whole; CSV is read as UTF-8"
        ) from error


def _named_columns(frame: "pd.DataFrame", path: Path) -> None:
    unnamed = [str(column) for column in frame.columns if str(column).startswith("Unnamed: ")]
    if unnamed:
        raise DataError(
            f"column {int(unnamed[0].removeprefix('Unnamed: ').partition('_')[0]) + 1} has no name",
            where=str(path),
            to_do="name it; if it is the row number, write the table without it (a row number would be learned as a feature)",
        )


def _labels(column: "pd.Series[Any]", path: Path) -> Array:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        return _numbers(column, path)
    return column.astype(object).where(column.notna(), None).to_numpy(dtype=object)


def _numbers(column: "pd.Series[Any]", path: Path) -> Array:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = pd.to_numeric(column.astype(object), errors="coerce")
    wrong = np.flatnonzero((numbers.isna() & column.notna()).to_numpy())
    if len(wrong) == 0:
        return numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    first = int(wrong[0])
    raise DataError(
        f"column {str(column.name)!r} is not numeric: row {first + 1} holds {column.iloc[first]!r}",
        where=str(path),
        to_do="encode it as numbers or take the column out",
    )
