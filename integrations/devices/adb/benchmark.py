# SPDX-License-Identifier: Apache-2.0
"""LiteRT's benchmark_model: how it is called, and what it prints.

Sources: tensorflow/lite/tools/benchmark/README.md and benchmark_model.cc of github.com/tensorflow/tensorflow. Its memory is in
MiB, and it tells a mean of all runs and no single time, so that no percentile can be had of it.
"""

import re
from dataclasses import dataclass

from edgewright.errors import DeviceError

_PHASE = re.compile(r"count=(\d+) (?:first=\S+ )?curr=\S+(?: min=\S+ max=\S+ avg=(\S+) std=(\S+))?")
_TIMES = re.compile(r"Inference timings in us: Init: ([\d.e+]+), First inference: ([\d.e+]+),.* Inference \(avg\): ([\d.e+]+)")
_MEMORY = re.compile(r"[Mm]emory footprint (?:delta from the start of the tool )?\(MB\): init=\S+ overall=(\S+)")
_NOT_DELEGATED = re.compile(r"^.*(?:Failed to apply|will not be executed by the delegate).*$", re.MULTILINE)


@dataclass(frozen=True)
class Benchmark:
    """What one run of it saw."""

    init_ms: float
    """Reading the file and preparing the interpreter."""
    first_ms: float
    """The first inference."""
    mean_ms: float
    runs: int
    memory_bytes: int | None
    """Peak footprint above that of the tool's start; None where it does not say."""

    @property
    def cold_start_ms(self) -> float:
        """Opening the file and its first inference."""
        return self.init_ms + self.first_ms


def arguments(model: str, threads: int, warmup: int, runs: int, seconds: float, further: tuple[str, ...] = ()) -> list[str]:
    """Return the arguments for as many warm-up and timed runs as are asked, no more and no fewer."""
    return [
        f"--graph={model}",
        f"--num_threads={threads}",
        f"--warmup_runs={max(warmup, 1)}",  # its first inference is a warm-up run
        "--warmup_min_secs=0",
        f"--num_runs={runs}",
        "--min_secs=0",
        f"--max_secs={seconds:g}",
        *further,
    ]


def read(printed: str) -> Benchmark:
    """Read what it printed.

    Raises:
        DeviceError: it ended without its times, or a delegate that was asked for does not run the file.
    """
    refused = _NOT_DELEGATED.search(printed)
    if refused:
        raise DeviceError(
            "benchmark_model ran the file on the CPU, not on the delegate that was asked for",
            where=refused[0].strip()[:300],
            to_do="leave the delegate out of device_options.arguments, or export the file for it",
        )
    times = _TIMES.search(printed)
    phases = _PHASE.findall(printed)
    if times is None or not phases:
        lines = printed.strip().splitlines()[-8:]
        raise DeviceError(
            "benchmark_model told no times",
            where="\n  ".join(lines) or "it printed nothing",
            to_do="run it by hand on the phone, with the same arguments",
        )
    init, first, mean = (float(number) / 1000 for number in times.groups())
    memory = _MEMORY.search(printed)
    return Benchmark(init, first, mean, int(phases[-1][0]), int(float(memory[1]) * 2**20) if memory else None)
