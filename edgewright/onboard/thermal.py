# SPDX-License-Identifier: Apache-2.0
"""Whether a machine slowed itself down because it was hot, where it tells, and how hot it is.

Sources: x86: thermal_throttle/*_throttle_count below each processor in /sys/devices/system/cpu (Linux, therm_throt.c);
Raspberry Pi: get_throttled of its firmware, bit 2: throttled now, bit 3: soft temperature limit now.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

CPUS = Path("/sys/devices/system/cpu")
PI = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
ZONES = Path("/sys/class/thermal")
_PI_NOW = 0b1100

if TYPE_CHECKING:
    Seen = dict[str, int]


def look() -> Seen | None:
    """Count what tells of throttling, by the file that tells; None where nothing does."""
    seen = {str(file): _number(file) for file in sorted(CPUS.glob("cpu[0-9]*/thermal_throttle/*_throttle_count"))}
    if PI.is_file():
        seen[str(PI)] = _number(PI, 16) & _PI_NOW
    return seen or None


def since(before: Seen | None) -> tuple[list[str], float | None]:
    """Say which of them have told of throttling since; and the hottest temperature now in °C, None where none is shown."""
    now = look() or {}
    told = [file for file, count in now.items() if count > (before or {}).get(file, 0) or (file == str(PI) and count)]
    degrees = [_number(file) / 1000 for file in ZONES.glob("thermal_zone*/temp")]
    return told, max(degrees, default=None)


def _number(file: Path, base: int = 10) -> int:
    try:
        return int(file.read_text(encoding="ascii"), base)
    except (OSError, ValueError):
        return 0
