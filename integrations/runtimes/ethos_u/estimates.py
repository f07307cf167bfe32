# SPDX-License-Identifier: Apache-2.0
"""Vela's summary as measurements: estimated every one, by a model of the NPU and of the memories around it."""

import math
from importlib.metadata import version

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.ethos_u.vela import Compiled
from edgewright.measure import Measurement

_KIB, _MS = 1024, 1e3
#: name -> columns of the summary that add up to it, what one is worth, and the unit
_READ: dict[str, tuple[tuple[str, ...], float, str]] = {
    "latency_ms": (("inference_time",), _MS, "ms"),
    "npu_cycles": (("cycles_total",), 1, "cycles"),
    "peak_memory_bytes": (("sram_memory_used",), _KIB, "bytes"),
    "dram_bytes": (("dram_memory_used",), _KIB, "bytes"),
    "flash_bytes": (("on_chip_flash_memory_used", "off_chip_flash_memory_used"), _KIB, "bytes"),
}
#: memories that not every system has
_OPTIONAL = ("dram_bytes", "flash_bytes")
_WHAT = {"peak_memory_bytes": "SRAM; ", "dram_bytes": "DRAM; ", "flash_bytes": "constants in flash; "}


def estimates(compiled: Compiled, on: str, *, whole: bool) -> dict[str, Measurement]:
    """Read the summary.

    Args:
        compiled: what Vela wrote.
        on: accelerator, system configuration and memory mode, in words.
        whole: no operator stays on the processor, which no estimate counts in.

    Raises:
        ExportError: a column is missing, or is not a number above 0.
    """
    found = {}
    method = f"Vela {version('ethos-u-vela')}: {on}"
    if not whole:
        method += "; without what is left to the processor"
    for name, (columns, worth, unit) in _READ.items():
        value = sum(_number(compiled, column) for column in columns) * worth
        if value > 0:
            found[name] = Measurement(
                value=value, unit=unit, n=1, evidence="estimated", method=f"{_WHAT.get(name, '')}{method}"
            )
        elif name not in _OPTIONAL:
            raise ExportError(
                f"Vela estimates {name} as {value:g}",
                where=str(compiled.file),
                to_do="nothing of the file may run on the NPU: quantize it throughout (ptq_w8a8)",
            )
    return found


def _number(compiled: Compiled, column: str) -> float:
    try:
        value = float(compiled.summary[column])
    except (KeyError, ValueError) as error:
        raise ExportError(
            f"Vela's summary has no number in {column!r}",
            where=str(compiled.file),
            to_do="install the version of Vela that edgewright was tested with: pip install 'edgewright[ethos-u]'",
        ) from error
    return value if math.isfinite(value) else 0.0
