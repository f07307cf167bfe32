# SPDX-License-Identifier: Apache-2.0
"""A loaded .pte file.

ExecuTorch has one pool of threads a process, and a loaded file keeps a pointer into it: changing the pool under it
crashes the process. So the number of threads is set before the first file is loaded, and kept while one is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from weakref import WeakSet

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.executorch import program
from edgewright.onboard.preprocess import Array
from edgewright.onboard.refusals import refusals
from edgewright.quiet import quietly


class ExecuTorchSession:
    """A loaded .pte file."""

    def __init__(self, method: Any) -> None:
        import torch

        self._method, self._tensor = method, torch.from_numpy

    def run(self, sample: Array) -> Array:
        """Run one sample (1, …)."""
        output: Array = self._method.execute([self._tensor(sample)])[0].numpy()
        return output

    def arena_bytes(self) -> int | None:
        """Unknown: XNNPACK allocates beside the memory that the file plans."""
        return None


#: sessions whose XNNPACK parts point into the pool; it is the process's, as they are
_OPEN: WeakSet[ExecuTorchSession] = WeakSet()


def open_session(file: Path, threads: int) -> ExecuTorchSession:
    """Load a file once.

    Raises:
        ExportError: it calls for a delegate or an operator that is not installed here, which is named; or the pool of this
            process has another size and is in use.
    """
    _must_run_here(file)
    with refusals("ExecuTorch does not load the file", file):
        from executorch.runtime import Runtime, Verification

        _set_threads(threads, file)
        loaded = Runtime.get().load_program(file, verification=Verification.InternalConsistency)
        session = ExecuTorchSession(loaded.load_method(program.METHOD))
    _OPEN.add(session)
    return session


def _must_run_here(file: Path) -> None:
    """Make sure that all the file calls for is installed: ExecuTorch itself tells only a number."""
    read = program.read(file)
    with quietly():
        from executorch.extension.pybindings import portable_lib

    lacking = sorted(name for name in program.backends(read) if not portable_lib._is_available(name))
    if lacking:
        raise ExportError(
            f"cannot run here: the file was lowered for {', '.join(lacking)}, which this machine does not have",
            where=str(file),
            to_do="run it on a device that has it, or export it with delegate 'xnnpack'",
        )
    known = set(portable_lib._get_operator_names())
    lacking = sorted(name for name in program.operators(read) if name not in known)
    if lacking:
        raise ExportError(
            f"ExecuTorch has no kernel here for operator {', '.join(lacking)}",
            where=str(file),
            to_do="replace the operator in the model, or take a runtime that has it",
        )


def _set_threads(threads: int, file: Path) -> None:
    from executorch.extension.pybindings import portable_lib

    if portable_lib._threadpool_get_thread_count() == threads:
        return
    if _OPEN:
        raise ExportError(
            f"{threads} threads are asked for, and a file is open in this process with "
            f"{portable_lib._threadpool_get_thread_count()}",
            where=str(file),
            to_do="load it in a process of its own: ExecuTorch has one pool of threads a process",
        )
    portable_lib._unsafe_reset_threadpool(threads)
