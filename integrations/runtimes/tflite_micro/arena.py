# SPDX-License-Identifier: Apache-2.0
"""The micro interpreter's arena: grown until the file fits, and shrunk to the smallest in which it does.

Sizes are tried in forked processes: in some arenas that are too small the interpreter crashes instead of refusing,
and its reasons are only printed, by C++ on standard error.
"""

from __future__ import annotations

import faulthandler
import os
import re
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from edgewright.errors import ExportError

_FIRST_ARENA, _LARGEST_ARENA = 2**20, 2**30
_ALIGNMENT = 16  # of the micro allocator: MicroArenaBufferAlignment
_TOO_SMALL = re.compile(r"missing: \d+")
_USED = re.compile(r"Arena allocation total (\d+) bytes")
_MISSING_OPERATOR = re.compile(r"Didn't find op for builtin opcode '(\w+)'|(?:Unsupported|Unresolved) custom op:? ?'?(\w+)")
_FAILED_OPERATOR = re.compile(r"Node (\w+) \(number \d+\w* ?\) failed to prepare")


@dataclass(frozen=True)
class Trial:
    """How it went to open a model in an arena: exit status (0: it fits; negative: it crashed) and what was printed."""

    status: int
    printed: str


def open_in_arena(file: Path) -> tuple[Any, int]:
    """Return an interpreter for the file, and the size of its arena.

    Raises:
        ExportError: an operator is not supported, or no arena up to 1 GiB is large enough.
    """
    from tflite_micro.python.tflite_micro import runtime

    model, size = file.read_bytes(), _FIRST_ARENA
    while size <= _LARGEST_ARENA:
        trial = _try(model, size)
        if trial.status == 0:
            return runtime.Interpreter.from_bytes(model, arena_size=size), size
        if trial.status > 0 and not _TOO_SMALL.search(trial.printed):
            raise ExportError(
                f"TFLite Micro refuses the file: {_reason(trial.printed)}",
                where=str(file),
                to_do="replace the operator in the model, or quantize it: most kernels are for int8",
            )
        size *= 2
    raise ExportError(
        f"TFLite Micro does not open the file in an arena of up to {_LARGEST_ARENA} bytes",
        where=str(file),
        to_do="shrink the model",
    )


def smallest_arena(file: Path, large_enough: int) -> int:
    """Bytes of the smallest arena the file fits in, to the allocator's alignment.

    What the recording allocator counts as used is where the search starts: planning needs a little more for a moment.
    """
    return _smallest_arena(file.read_bytes(), large_enough)


@lru_cache(maxsize=4)  # a file is asked about in each of its measurements, and each size that is tried takes a process
def _smallest_arena(model: bytes, large_enough: int) -> int:
    used = _USED.search(_try(model, large_enough).printed)
    too_small = int(used.group(1)) // _ALIGNMENT * _ALIGNMENT - _ALIGNMENT if used is not None else 0
    fits, step = large_enough, _ALIGNMENT
    while too_small + step < fits:
        if _try(model, too_small + step).status == 0:
            fits = too_small + step
        else:
            too_small, step = too_small + step, 2 * step
    while fits - too_small > _ALIGNMENT:
        middle = (too_small + fits) // 2 // _ALIGNMENT * _ALIGNMENT
        if _try(model, middle).status == 0:
            fits = middle
        else:
            too_small = middle
    return fits


def _try(model: bytes, size: int) -> Trial:
    """Open a model in an arena of ``size`` bytes, in a process that only does that."""
    from tflite_micro.python.tflite_micro import runtime

    with tempfile.TemporaryFile() as printed:
        child = os.fork()
        if child == 0:
            faulthandler.disable()
            os.dup2(printed.fileno(), 2)
            try:
                runtime.Interpreter.from_bytes(model, arena_size=size).print_allocations()
                os._exit(0)
            except BaseException as refusal:
                os.write(2, str(refusal).encode())
                os._exit(1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        printed.seek(0)
        return Trial(status, printed.read().decode(errors="replace"))


def _reason(printed: str) -> str:
    missing, failed = _MISSING_OPERATOR.search(printed), _FAILED_OPERATOR.search(printed)
    if missing is not None:
        return f"operator {missing.group(1) or missing.group(2)} is not supported"
    words = " ".join(printed.split())
    return f"operator {failed.group(1)} is not supported as it is used here: {words}" if failed is not None else words
