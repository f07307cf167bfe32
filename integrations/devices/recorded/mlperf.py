# SPDX-License-Identifier: Apache-2.0
"""Logs of the MLPerf Tiny runner: commands to the board and its answers, line by line.

Source: benchmark/runner and the firmware API of github.com/mlcommons/tiny. The runner sends a sample as `db load BYTES` and
`db HEX`, then `infer N`; the board answers with `m-lap-us-TIME` before and after, and `m-results-[…]`, real values.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from edgewright.errors import DeviceError
from edgewright.integrations.devices.recorded.handout import digest_of

#: commands as the runner writes them; the interface board repeats them in other words
_LOAD = re.compile(r"^(?:dut )?db load (\d+)%?$")
_BYTES = re.compile(r"^(?:dut )?db ([0-9a-fA-F]+)%?$")
_INFER = re.compile(r"^(?:dut )?infer (\d+)(?: \d+)?%?$")
_LAP = re.compile(r"m-lap-us-(\d+)$")
_RESULTS = re.compile(r"m-results-\[([^\]]*)\]$")


@dataclass
class Run:
    """One sample: loaded, inferred, answered."""

    sample: str
    """The digest of its bytes, as in its id."""
    inferences: int = 0
    laps: tuple[int, ...] = ()
    results: tuple[float, ...] = ()

    @property
    def latency_ms(self) -> float | None:
        """Milliseconds from the first lap to the last; None where there are none."""
        return (self.laps[-1] - self.laps[0]) / 1000 if len(self.laps) > 1 else None


def read_log(file: Path) -> list[Run]:
    """Read all inferences of a log, in order; a sample that is inferred again is a run again.

    Raises:
        DeviceError: a sample was not sent whole, or a number is none.
    """
    runs: list[Run] = []
    expected, content = 0, bytearray()
    with file.open(encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            try:
                text = line.strip()
                if found := _LOAD.search(text):
                    expected, content = int(found[1]), bytearray()
                elif found := _BYTES.search(text):
                    content += bytes.fromhex(found[1])
                elif found := _INFER.search(text):
                    if len(content) != expected:
                        raise ValueError(f"{len(content)} of {expected} bytes of a sample were sent before it was inferred")
                    runs.append(Run(digest_of(bytes(content)), int(found[1])))
                elif runs and (found := _LAP.search(text)):
                    runs[-1].laps += (int(found[1]),)
                elif runs and (found := _RESULTS.search(text)):
                    runs[-1].results = tuple(float(value) for value in found[1].split(","))
            except ValueError as error:
                to_do = "hand in the whole log of a run that ended"
                raise DeviceError(f"the log cannot be read: {error}", where=f"{file}, line {number}", to_do=to_do) from error
    return runs
