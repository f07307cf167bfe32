# SPDX-License-Identifier: Apache-2.0
"""What a toolkit said when it refused: in one line, as an error of edgewright."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgewright.errors import EdgewrightError, ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LONGEST = 400


def said(error: BaseException) -> str:
    """Say in one line what an error of a toolkit says: its deepest cause's type and first paragraph."""
    while (cause := error.__cause__) is not None and cause is not error:  # `raise error from error` makes one its own cause
        error = cause
    words = " ".join(str(error).strip().partition("\n\n")[0].split())
    return f"{type(error).__name__}: {words[:_LONGEST]}{'…' if len(words) > _LONGEST else ''}"


@contextmanager
def refusals(what: str, where: Path | str, to_do: str = "try another recipe or another runtime") -> Iterator[None]:
    """Turn whatever a toolkit raises into an ExportError of ``what`` was refused, with the toolkit's own words."""
    try:
        yield
    except EdgewrightError:
        raise
    except Exception as error:
        raise ExportError(f"{what}: {said(error)}", where=str(where), to_do=to_do) from error
