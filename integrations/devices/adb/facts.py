# SPDX-License-Identifier: Apache-2.0
"""What phone this is, by its system's properties."""

import re
from typing import Any

from edgewright.integrations.devices.adb.link import AdbLink

_PROPERTIES = {
    "model": "ro.product.model",
    "maker": "ro.product.manufacturer",
    "chip": "ro.soc.model",
    "board": "ro.board.platform",
    "abi": "ro.product.cpu.abi",
    "android": "ro.build.version.release",
}
_CPU = "/sys/devices/system/cpu/cpu0/cpufreq"


def look(link: AdbLink) -> dict[str, Any]:
    """Describe the phone, in the fields of DeviceFacts that only it can tell.

    Raises:
        DeviceError: it cannot be reached.
    """
    asked = "; ".join([*(f"echo {key}=$(getprop {name})" for key, name in _PROPERTIES.items()), "echo cores=$(nproc)",
                       f"echo governor=$(cat {_CPU}/scaling_governor 2>/dev/null)",
                       f"echo frequency=$(cat {_CPU}/scaling_max_freq 2>/dev/null)", "echo kernel=$(uname -r)"])  # fmt: skip
    told = dict(re.findall(r"^(\w+)=(.*?)\s*$", link.shell(asked), re.MULTILINE))
    name = " ".join(part for part in (told.get("maker"), told.get("model")) if part)
    return {
        "name": name or link.name,
        "machine": f"{told.get('chip') or told.get('board') or 'unknown processor'} ({told.get('abi') or 'unknown ABI'})",
        "cores": int(told.get("cores") or 1),
        "os": f"Android {told.get('android') or 'unknown'}, Linux {told.get('kernel')}",
        "governor": told.get("governor") or None,
        "frequency_mhz": int(told["frequency"]) / 1000 if told.get("frequency", "").isdigit() else None,
    }
