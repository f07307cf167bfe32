# SPDX-License-Identifier: Apache-2.0
"""One run on a phone, in a folder of its own: send, check, run the user's programs, fetch, clean up."""

import contextlib
import math
import re
import secrets
import shlex
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from edgewright.artifact import TensorSpec
from edgewright.errors import DeviceError
from edgewright.integrations.devices.adb import benchmark
from edgewright.integrations.devices.adb.link import AdbLink
from edgewright.integrations.devices.adb.options import AdbOptions
from edgewright.onboard.digest import sha256_of
from edgewright.runtime import Array

RUNNER, BENCHMARK, INPUTS, OUTPUTS, LATENCIES = "runner", "benchmark_model", "inputs.bin", "outputs.bin", "latencies.csv"
LATENCY_COLUMN = "latency_ms"


class Visit:
    """A folder on the phone that is there for one run."""

    def __init__(self, link: AdbLink, options: AdbOptions, here: Path) -> None:
        self._link, self._options, self._here = link, options, here
        self._folder = f"{options.folder.rstrip('/')}/edgewright-{secrets.token_hex(8)}"
        self._model = ""

    def __enter__(self) -> Self:
        self._link.shell(f"mkdir {shlex.quote(self._folder)}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Remove the folder; where the phone cannot be reached any more, what went wrong before is what counts."""
        with contextlib.suppress(DeviceError) if error else contextlib.nullcontext():
            self._link.shell(f"rm -rf {shlex.quote(self._folder)}")

    def send(self, model: Path, files: Sequence[Path], ready: Array) -> None:
        """Send programs, model and samples (N, …), as the file takes them, back to back.

        Raises:
            DeviceError: something arrives damaged.
        """
        (self._here / INPUTS).write_bytes(ready.tobytes())
        self._model = model.name
        programs = {RUNNER: self._options.runner, BENCHMARK: self._options.benchmark_model}
        sources = {name: Path(file) for name, file in programs.items() if file}
        sources |= {file.name: file for file in files} | {INPUTS: self._here / INPUTS}
        for name, source in sources.items():
            self._link.push(source, f"{self._folder}/{name}")
        told = self._run(f"chmod 755 {' '.join(name for name in programs if name in sources)}; sha256sum *")
        arrived = {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})\s+\*?(\S.*?)\s*$", told, re.MULTILINE)}
        wrong = [name for name, source in sources.items() if source.is_file() and arrived.get(name) != sha256_of(source)]
        if wrong:
            what = f"{', '.join(wrong)} arrived damaged on {self._link.name} (the sha256 differs)"
            raise DeviceError(what, where=self._folder, to_do="check cable and disk, and run it again")

    def outputs(self, count: int, spec: TensorSpec, threads: int) -> Array:
        """Run all samples; return the raw outputs (N, …) as the file stores them.

        Raises:
            DeviceError: the runner failed, or wrote what is not the outputs of so many samples.
        """
        self._run_runner(threads, f"--outputs={OUTPUTS}")
        self._link.pull(f"{self._folder}/{OUTPUTS}", self._here / OUTPUTS)
        content, shape = (self._here / OUTPUTS).read_bytes(), tuple(abs(axis) for axis in spec.shape[1:])
        dtype = np.dtype(spec.dtype)
        wanted = count * math.prod(shape) * dtype.itemsize
        if len(content) != wanted:
            raise DeviceError(
                f"the runner wrote {len(content):,} bytes of outputs, not {wanted:,}: {count:,} of {spec.dtype} {shape}",
                where=f"{self._link.name}: {OUTPUTS}",
                to_do="write the first output tensor of each sample as it is, back to back",
            )
        return np.frombuffer(content, dtype).reshape(count, *shape)

    def latencies(self, threads: int, warmup: int, invocations: int) -> tuple[float, ...]:
        """Time single inferences, in milliseconds.

        Raises:
            DeviceError: the runner failed, or did not write so many times.
        """
        self._run_runner(threads, f"--latencies={LATENCIES}", f"--warmup={warmup}", f"--invocations={invocations}")
        header, *rows = self._run(f"cat {LATENCIES}").split() or [""]
        times = [float(row) for row in rows if re.fullmatch(r"[\d.]+(?:e[-+]?\d+)?", row)]
        if header != LATENCY_COLUMN or len(times) != len(rows) or len(rows) != invocations or min(times) <= 0:
            raise DeviceError(
                f"the runner did not write {invocations} latencies",
                where=f"{self._link.name}: {LATENCIES}",
                to_do=f"write a line '{LATENCY_COLUMN}', then one inference a line, in milliseconds",
            )
        return tuple(times)

    def benchmark(self, threads: int, warmup: int, runs: int) -> benchmark.Benchmark:
        """Run benchmark_model.

        Raises:
            DeviceError: it failed, or told no times.
        """
        options = self._options
        words = benchmark.arguments(self._model, threads, warmup, runs, options.timeout, options.arguments)
        return benchmark.read(self._run(shlex.join([f"./{BENCHMARK}", *words]) + " 2>&1"))

    def _run_runner(self, threads: int, *more: str) -> None:
        words = [f"./{RUNNER}", f"--model={self._model}", f"--inputs={INPUTS}", f"--threads={threads}", *more]
        self._run(shlex.join([*words, *self._options.arguments]))

    def _run(self, command: str) -> str:
        return self._link.shell(f"cd {shlex.quote(self._folder)} && {{ {command}; }}")
