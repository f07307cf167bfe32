# SPDX-License-Identifier: Apache-2.0
"""SQLite databases that others make (ZenML, MLflow): made whole, or made anew the next time.

Neither opens a database again whose making was cut short by Ctrl-C, SIGKILL or a full disk.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PARTS = ("", "-journal", "-wal", "-shm")


@contextmanager
def made_whole(database: Path, mark: Path) -> Iterator[None]:
    """Leave ``mark`` behind when the body was to make the database and did not get to its end.

    Where it was left behind before, the database is first put aside, as <name>.half-made. The caller holds a lock.
    """
    if mark.exists():
        for part in _PARTS:
            file = database.with_name(database.name + part)
            if file.exists():
                file.replace(file.with_name(f"{database.name}.half-made{part}"))
    if not database.exists() or not database.stat().st_size:
        mark.touch()
    yield
    mark.unlink(missing_ok=True)
