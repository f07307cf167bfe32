# SPDX-License-Identifier: Apache-2.0
"""Coral's edgetpu_compiler, where it is on the PATH: run, and its report read.

It comes from Coral's own Debian archive for x86-64, not from a package index.
"""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgewright.errors import ExportError

COMMAND = "edgetpu_compiler"
_MAPPED = "Mapped to Edge TPU"
_VERSION = re.compile(r"^Edge TPU Compiler version (\S+)", re.MULTILINE)
_ROW = re.compile(r"^([A-Z][A-Z0-9_]+|[\w-]*custom[\w-]*)[ \t]+(\d+)[ \t]+(\S.*?)\s*$", re.MULTILINE)
_ON_CHIP = re.compile(r"^On-chip memory used for caching model parameters: (\S+)", re.MULTILINE)
_OFF_CHIP = re.compile(r"^Off-chip memory used for streaming uncached model parameters: (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Report:
    """What the compiler told."""

    file: Path
    notes: tuple[str, ...]


def found() -> str | None:
    """Path of the compiler; None where it is not on the PATH."""
    return shutil.which(COMMAND)


def compile_file(command: str, file: Path) -> Report:
    """Compile a .tflite file; the result lies beside it as <name>_edgetpu.tflite.

    Raises:
        ExportError: the compiler refused the file, or mapped none of its operators.
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-edgetpu-") as folder:
        run = subprocess.run(
            [command, "--show_operations", "--out_dir", folder, str(file)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        printed = (run.stdout + run.stderr).decode(errors="replace")
        written = Path(folder) / f"{file.stem}_edgetpu.tflite"
        rows = [(kind, int(count), status) for kind, count, status in _ROW.findall(printed)]
        if run.returncode or not written.is_file():
            raise _refusal(file, f"{COMMAND} refused the file (exit status {run.returncode})", printed)
        if rows and not any(status == _MAPPED for _, _, status in rows):
            raise _refusal(file, f"{COMMAND} maps no operator of the file to the Edge TPU", printed)
        return Report(Path(shutil.copyfile(written, file.with_name(written.name))), _notes(rows, printed))


def _notes(rows: list[tuple[str, int, str]], printed: str) -> tuple[str, ...]:
    version, on_chip, off_chip = (pattern.search(printed) for pattern in (_VERSION, _ON_CHIP, _OFF_CHIP))
    notes = [f"Compiled by {COMMAND} {version.group(1) if version else '(it did not tell its version)'}."]
    if rows:
        total, mapped = sum(count for _, count, _ in rows), sum(count for _, count, status in rows if status == _MAPPED)
        left = "; ".join(f"{count} × {kind}: {status}" for kind, count, status in rows if status != _MAPPED)
        notes.append(f"It maps {mapped} of {total} operators" + (f"; the processor is left with {left}." if left else "."))
    if on_chip and off_chip:
        notes.append(f"Weights: {on_chip.group(1)} kept on the chip, {off_chip.group(1)} streamed at each inference.")
    return tuple(notes)


def _refusal(file: Path, what: str, printed: str) -> ExportError:
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    said = f": {lines[-1]}" if lines else ""
    return ExportError(f"{what}{said}", where=str(file), to_do="see which operators the Edge TPU takes: g.co/coral/model-reqs")
