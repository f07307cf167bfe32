# SPDX-License-Identifier: Apache-2.0
"""The machines that libraries are compiled for, in LLVM's words, and what links for them."""

from dataclasses import dataclass
from typing import Any, Literal

Machine = Literal["x86_64", "aarch64"]


@dataclass(frozen=True)
class Compiled:
    """How a library for a machine is made."""

    target: dict[str, Any]
    """TVM's target; it names the oldest processor that executes the library."""
    package: str
    """Debian package of the compiler that links for this machine from another one."""

    @property
    def linker(self) -> str:
        """Its command."""
        return f"{self.target['mtriple']}-g++"


MACHINES: dict[Machine, Compiled] = {
    # with AVX2 and FMA, as all x86-64 processors since 2015 but the smallest
    "x86_64": Compiled({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v3"}, "g++-x86-64-linux-gnu"),
    "aarch64": Compiled(
        {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a53", "mattr": ["+neon"]}, "g++-aarch64-linux-gnu"
    ),
}
