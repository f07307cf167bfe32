# SPDX-License-Identifier: Apache-2.0
"""The micro interpreter's arena: grown until the file fits, and shrunk to the smallest in which it does.

The reason of a refusal and what was allocated are only printed, by C++ on standard error.
"""

import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgewright.errors import ExportError

_FIRST_ARENA, _LARGEST_ARENA = 2**20, 2**30
_ALIGNMENT = 16  # of the micro allocator: MicroArenaBufferAlignment
_TOTAL = re.compile(r"Arena allocation total (\d+) bytes")
_TOO_SMALL = re.compile(r"missing: \d+")
_MISSING_OPERATOR = re.compile(r"Didn't find op for builtin opcode '(\w+)'|(?:Unsupported|Unresolved) custom op:? ?'?(\w+)")
_FAILED_OPERATOR = re.compile(r"Node (\w+) \(number \d+\w* ?\) failed to prepare")
_stderr_lock = threading.Lock()


def open_in_arena(file: Path) -> Any:
    """Return an interpreter for the file, in an arena that is large enough.

    Raises:
        ExportError: an operator is not supported, or no arena up to 1 GiB is large enough.
    """
    model, size = file.read_bytes(), _FIRST_ARENA
    while size <= _LARGEST_ARENA:
        interpreter, printed = _try(model, size)
        if interpreter is not None:
            return interpreter
        if not _TOO_SMALL.search(printed):
            raise ExportError(
                f"TFLite Micro refuses the file: {_reason(printed)}",
                where=str(file),
                to_do="replace the operator in the model, or quantize it: most kernels are for int8",
            )
        size *= 2
    raise ExportError(
        f"TFLite Micro needs an arena of more than {_LARGEST_ARENA} bytes", where=str(file), to_do="shrink the model"
    )


def smallest_arena(model: bytes, interpreter: Any) -> int:
    """Bytes of the smallest arena the model fits in, to the allocator's alignment.

    What the recording allocator counts can be less: while it plans, it needs memory that it gives back afterwards.
    """
    too_small = _recorded(interpreter) // _ALIGNMENT * _ALIGNMENT - _ALIGNMENT
    fits = too_small + _ALIGNMENT
    while _try(model, fits)[0] is None:
        too_small, fits = fits, fits + 2 * (fits - too_small)
    while fits - too_small > _ALIGNMENT:
        middle = (too_small + fits) // 2 // _ALIGNMENT * _ALIGNMENT
        if _try(model, middle)[0] is None:
            too_small = middle
        else:
            fits = middle
    return fits


def _try(model: bytes, size: int) -> tuple[Any, str]:
    """Return an interpreter, or None where it refuses, and what was printed."""
    from tflite_micro.python.tflite_micro import runtime

    with _printed() as printed:
        try:
            interpreter, refusal = runtime.Interpreter.from_bytes(model, arena_size=size), ""
        except RuntimeError as error:
            interpreter, refusal = None, str(error)
    return interpreter, printed() or refusal


def _recorded(interpreter: Any) -> int:
    with _printed() as printed:
        interpreter.print_allocations()
    found = _TOTAL.search(printed())
    if found is None:
        raise ExportError("TFLite Micro did not print the size of its arena", to_do="install another version of tflite-micro")
    return int(found.group(1))


def _reason(printed: str) -> str:
    missing, failed = _MISSING_OPERATOR.search(printed), _FAILED_OPERATOR.search(printed)
    if missing is not None:
        return f"operator {missing.group(1) or missing.group(2)} is not supported"
    words = " ".join(printed.split())
    return f"operator {failed.group(1)} is not supported as it is used here: {words}" if failed is not None else words


@contextmanager
def _printed() -> Iterator[Callable[[], str]]:
    """Catch what C++ prints on standard error; the text is there once the block is left."""
    with _stderr_lock, tempfile.TemporaryFile() as caught:
        text: list[str] = []
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            yield lambda: text[0]
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            text.append(caught.read().decode(errors="replace"))
