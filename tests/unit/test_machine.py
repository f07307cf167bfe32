# SPDX-License-Identifier: Apache-2.0
"""What a machine says of itself: which board it is, and whether sums of 8-bit products saturate on it."""

from pathlib import Path

import pytest

from edgewright.onboard import machine

HASWELL, CASCADE_LAKE, ALDER_LAKE = "sse4_2 avx2 fma", "avx2 avx512f avx512_vnni", "avx2 avx_vnni"


@pytest.mark.parametrize(
    ("architecture", "flags", "answer"),
    [
        ("x86_64", HASWELL, True),
        ("x86_64", CASCADE_LAKE, False),
        ("AMD64", ALDER_LAKE, False),
        ("x86_64", "", True),  # not told: they may
        ("aarch64", "", False),
    ],
)
def test_8_bit_sums_saturate_on_x86_without_vnni(
    architecture: str, flags: str, answer: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n" if flags else "", encoding="ascii")
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(machine.platform, "machine", lambda: architecture)
    assert machine.saturates() is answer
    assert machine.machine()["saturates"] is answer


def test_a_board_is_told_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its /proc/cpuinfo has none on a Jetson, and the processor's alone on others."""
    (tmp_path / "model").write_bytes(b"NVIDIA Jetson Orin Nano Developer Kit\0")
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: ARMv8 Processor rev 1 (v8l)\n", encoding="ascii")
    monkeypatch.setattr(machine, "_BOARD", tmp_path / "model")
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "cpuinfo")
    assert machine.machine()["machine"].startswith("NVIDIA Jetson Orin Nano Developer Kit (")
