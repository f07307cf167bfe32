# SPDX-License-Identifier: Apache-2.0
"""Reads .pte files: is one whole, and which delegates and operators does it call for.

The runtime's own verification comes before the parser: it is made for files of strangers, and the parser is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright.onboard.refusals import refusals
from edgewright.quiet import quietly

METHOD = "forward"
#: of the extended header behind the flatbuffer's first 8 bytes (schema/extended_header.h of ExecuTorch)
_HEADER, _MAGIC, _IDENTIFIER = 8, b"eh00", b"ET"


def read(file: Path) -> Any:
    """Return what a .pte file holds, as ``executorch.exir.schema.Program``, payloads of delegates included.

    Raises:
        ExportError: it is cut short, another format, or has no method 'forward'.
    """
    with refusals("not a readable .pte file", file, "export it again"):
        content = file.read_bytes()
        _must_be_whole(content)
        with quietly():
            from executorch.exir._serialize._program import deserialize_pte_binary
            from executorch.extension.pybindings import portable_lib

        portable_lib._load_program_from_buffer(content, program_verification=portable_lib.Verification.InternalConsistency)
        program = deserialize_pte_binary(content).program
        if METHOD not in (plan.name for plan in program.execution_plan):
            raise ValueError(f"it has no method {METHOD!r}")
        return program


def plan_of(program: Any) -> Any:
    """Return the execution plan of 'forward'."""
    return next(plan for plan in program.execution_plan if plan.name == METHOD)


def backends(program: Any) -> set[str]:
    """Names of the delegates that a program calls."""
    return {delegate.id for delegate in plan_of(program).delegates}


def operators(program: Any) -> list[str]:
    """Names of the operators outside of delegates, as ExecuTorch registers them: 'aten::mean.out'."""
    return [f"{one.name}.{one.overload}" if one.overload else one.name for one in plan_of(program).operators]


def _must_be_whole(content: bytes) -> None:
    """Hold the sizes that the header declares against the file's: data behind the program is read only when it is needed."""
    if len(content) < 64 or content[4:6] != _IDENTIFIER:
        raise ValueError("it does not begin as a .pte file does")
    header = content[_HEADER:64]
    if header[:4] != _MAGIC:
        return  # an old file: all of it is one flatbuffer, which the runtime verifies
    _, program, base, segments = (int.from_bytes(header[at:end], "little") for at, end in ((4, 8), (8, 16), (16, 24), (24, 32)))
    needed = max(program, base + segments)
    if len(content) < needed:
        raise ValueError(f"it is cut short: {len(content)} bytes of {needed}")
