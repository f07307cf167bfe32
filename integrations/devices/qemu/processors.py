# SPDX-License-Identifier: Apache-2.0
"""The processors that are emulated, by the names that QEMU has for them."""

from dataclasses import dataclass
from typing import Literal

ArmName = Literal["cortex-a53", "cortex-a72", "cortex-a76", "neoverse-n1"]
"""All have a name: QEMU 7.2's `max` has SME and SVE, and with it LiteRT's int8 kernels answered wrongly (seven samples in
eight named another class; with SME or SVE switched off none did)."""

#: AVX2 and no VNNI; named without what QEMU does not emulate, of which it would warn in each thread
X86 = "Haswell-noTSX,-pcid,-x2apic,-tsc-deadline,-invpcid"
X86_NAME = "Haswell"

_ARMV8 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
_ARMV82 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"


@dataclass(frozen=True)
class ArmProcessor:
    """What Linux tells of an Arm processor."""

    title: str
    part: str
    """Part number in MIDR_EL1, as in the processor's technical reference manual."""
    features: str
    """Those of its instructions that QEMU emulates; kernels chosen by others would die of SIGILL."""

    @property
    def cpuinfo(self) -> str:
        """Text of /proc/cpuinfo, of one core.

        The emulated process reads the host's otherwise, and ONNX Runtime and LiteRT, which look for Arm's words in it, crash
        on those of x86 as they are imported.
        """
        lines = {
            "processor": "0",
            "BogoMIPS": "125.00",
            "Features": self.features,
            "CPU implementer": "0x41",
            "CPU architecture": "8",
            "CPU variant": "0x0",
            "CPU part": self.part,
            "CPU revision": "1",
        }
        return "".join(f"{key}\t: {value}\n" for key, value in lines.items()) + "\n"


ARM: dict[ArmName, ArmProcessor] = {
    "cortex-a53": ArmProcessor("Cortex-A53", "0xd03", _ARMV8),
    "cortex-a72": ArmProcessor("Cortex-A72", "0xd08", _ARMV8),
    "cortex-a76": ArmProcessor("Cortex-A76", "0xd0b", _ARMV82),
    "neoverse-n1": ArmProcessor("Neoverse N1", "0xd0c", _ARMV82),
}
