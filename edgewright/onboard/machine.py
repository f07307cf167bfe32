# SPDX-License-Identifier: Apache-2.0
"""What machine this is: the fingerprint that every measurement taken here carries."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from edgewright.errors import DeviceError

_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_HIGHEST = _GOVERNOR.with_name("scaling_max_freq")
_RELEASE, _CPUINFO = Path("/etc/os-release"), Path("/proc/cpuinfo")
_BOARD = Path("/proc/device-tree/model")
"""Name of an Arm board, ended by NUL (devicetree specification, "model")."""
#: e_machine of an ELF file (System V ABI, "ELF header") to the machines, as uname names them, that execute it
_ELF = {
    3: ("x86", ("i386", "i486", "i586", "i686", "x86_64")),
    40: ("32-bit Arm", ("armv6l", "armv7l", "armv8l", "aarch64")),
    62: ("x86-64", ("x86_64", "amd64")),
    183: ("AArch64", ("aarch64", "arm64")),
    243: ("RISC-V", ("riscv32", "riscv64")),
}


def machine() -> dict[str, Any]:
    """Describe this machine, in the fields of DeviceFacts that only it can tell."""
    return {
        "machine": f"{_processor()} ({platform.machine()})",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "os": f"{_distribution()}, {platform.system()} {platform.release()}",
        "governor": _GOVERNOR.read_text(encoding="ascii").strip() if _GOVERNOR.is_file() else None,
        "frequency_mhz": _frequency(),
        "saturates": saturates(),
    }


def saturates() -> bool:
    """Whether sums of products of unsigned and signed 8-bit numbers saturate in 16 bits; where nothing is told, they may.

    x86-64 sums two such products with VPMADDUBSW; VNNI's VPDPBUSD sums in 32 bits (Intel SDM, volume 2). Arm has no such
    instruction.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    return not any(flag.endswith("vnni") for flag in _fields(_CPUINFO, ":").get("flags", "").split())


def check_machine(file: Path) -> None:
    """Refuse a file of machine code that is for another processor than this one; other files say nothing of processors.

    Raises:
        DeviceError: it is for another one.
    """
    if not file.is_file():
        return
    with file.open("rb") as stream:
        header = stream.read(20)
    if len(header) < 20 or header[:4] != b"\x7fELF":
        return
    number = int.from_bytes(header[18:20], "little" if header[5] == 1 else "big")
    name, machines = _ELF.get(number, (f"machine {number}", ()))
    if platform.machine() not in machines:
        raise DeviceError(
            f"{file.name} holds machine code for {name}, and this machine is {platform.machine()}",
            to_do="export it for this device, or name the device it was exported for",
        )


def _processor() -> str:
    fields = _fields(_CPUINFO, ":")
    board = _BOARD.read_text(encoding="utf-8", errors="replace").strip("\0 \n") if _BOARD.is_file() else ""
    return board or fields.get("model name") or fields.get("Model") or platform.processor() or "unknown processor"


def _frequency() -> float | None:
    """Highest frequency that the governor may take, in MHz; without a governor what /proc/cpuinfo says (x86)."""
    if _HIGHEST.is_file():
        return int(_HIGHEST.read_text(encoding="ascii")) / 1000
    told = _fields(Path("/proc/cpuinfo"), ":").get("cpu MHz")
    return round(float(told)) if told else None


def _distribution() -> str:
    return _fields(_RELEASE, "=").get("PRETTY_NAME", "").strip("\"'") or platform.system()


def _fields(file: Path, between: str) -> dict[str, str]:
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    return {key.strip(): value.strip() for key, _, value in (line.partition(between) for line in lines)}
