# SPDX-License-Identifier: Apache-2.0
"""Vela, Arm's compiler for Ethos-U, in a process of its own: it ends with a crash on some files that are cut short.

It also ends well on a file it could not compile at all, so what it printed is read: which operators stay on the processor.
"""

import csv
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgewright.errors import ExportError

_CONFIGURATIONS = "Arm/vela.ini"
_ON_CPU = re.compile(r"^\s*CPU: .*? = (.+) \(outputs \[.*\]\)\s*$", re.MULTILINE)
_ON_NPU = re.compile(r"^NPU operators = (\d+)", re.MULTILINE)
_REASON = re.compile(r"\(supported operators\) operator: \w+, ofm: '(.+)'\s*\nReason: (.+)")
_TENSOR = re.compile(r"\s*\((?:litert_torch|serving_default)[^)]*\)")


@dataclass(frozen=True)
class Compiled:
    """What Vela made of a file, and what it told."""

    file: Path
    summary: dict[str, str]
    """The row of its summary, by column."""
    on_npu: int
    """Operators of the compiled graph that the NPU executes."""
    on_cpu: tuple[str, ...]
    """Names of the outputs of the operators that stay on the processor."""
    reasons: dict[str, str]
    """Why they do, by the same names, where Vela says so."""


def compile_file(file: Path, accelerator: str, system_config: str, memory_mode: str) -> Compiled:
    """Compile a .tflite file; the result lies beside it as <name>_vela.tflite.

    Raises:
        ExportError: Vela refused the file or crashed; its last lines are in the message.
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-vela-") as folder:
        command = [sys.executable, "-P", "-m", "ethosu.vela", str(file), "--show-cpu-operations", "--output-dir", folder]
        command += ["--accelerator-config", accelerator, "--config", _CONFIGURATIONS]
        command += ["--system-config", system_config, "--memory-mode", memory_mode]
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        printed, errors = (stream.decode(errors="replace") for stream in (run.stdout, run.stderr))
        written, pages = Path(folder) / f"{file.stem}_vela.tflite", sorted(Path(folder).glob("*_summary_*.csv"))
        if run.returncode or not written.is_file() or not pages:
            raise _refusal(run.returncode, file, printed + errors)
        compiled = Path(shutil.copyfile(written, file.with_name(written.name)))
        with pages[0].open(newline="", encoding="utf-8") as page:
            summary = next(csv.DictReader(page), {})
    on_npu = _ON_NPU.search(printed)
    return Compiled(
        file=compiled,
        summary=summary,
        on_npu=int(on_npu.group(1)) if on_npu else 0,
        on_cpu=tuple(_ON_CPU.findall(printed)),
        reasons={output: " ".join(_TENSOR.sub("", reason).split()) for output, reason in _REASON.findall(printed)},
    )


def _refusal(status: int, file: Path, printed: str) -> ExportError:
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    what = f"Vela crashed ({signal.Signals(-status).name})" if status < 0 else "Vela refused the file"
    return ExportError(
        f"{what}: {lines[-1] if lines else 'without a word'}",
        where=str(file),
        to_do="check options.system_config and options.memory_mode; or replace the operator it names",
    )
