# SPDX-License-Identifier: Apache-2.0
"""This machine, each probe in a fresh process. The machine is leased: two probes on it never overlap."""

import fcntl
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from edgewright import probe
from edgewright.artifact import ArtifactManifest
from edgewright.config.base import Config
from edgewright.device import Device, ProbeFacts, ProbePlan
from edgewright.errors import DeviceError
from edgewright.measure import DeviceFacts, Evidence
from edgewright.progress import stage

_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
#: environment variables by which numeric libraries take their number of threads
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_LAST_LINES = 12


class LocalDevice(Device):
    """The machine edgewright runs on."""

    name: ClassVar[str] = "local"
    evidence: ClassVar[Evidence] = "measured"
    on_this_machine: ClassVar[bool] = True

    class Options(Config):
        """Options in `targets[].device_options`."""

        timeout: Annotated[float, Field(gt=0)] = 600
        """Seconds one probe may take, loading the runtime included, before it is stopped."""

    def facts(self, threads: int) -> DeviceFacts:
        """Describe this machine."""
        return DeviceFacts(
            name="local",
            kind=self.name,
            machine=f"{_processor()} ({platform.machine()})",
            cores=_cores(),
            os=f"{_distribution()}, {platform.system()} {platform.release()}",
            threads=threads,
            governor=_GOVERNOR.read_text(encoding="ascii").strip() if _GOVERNOR.is_file() else None,
        )

    def probe(
        self, file: Path, manifest: ArtifactManifest, inputs: NDArray[Any], plan: ProbePlan, options: Config
    ) -> tuple[ProbeFacts, NDArray[Any] | None]:
        """Run the plan in a fresh process, once no other probe runs on this machine.

        Raises:
            DeviceError: the process reported an error, crashed, or took longer than the timeout.
        """
        assert isinstance(options, self.Options)  # noqa: S101 - narrows the type: a device gets its own options
        request = probe.ProbeRequest(file=str(file.resolve()), manifest=manifest, plan=plan)
        with tempfile.TemporaryDirectory(prefix="edgewright-probe-") as name:
            folder = Path(name)
            (folder / probe.REQUEST).write_text(request.model_dump_json(), encoding="utf-8")
            _lay_out(inputs, folder / probe.INPUTS)
            with _lease():
                _run(folder, plan.threads, options.timeout, f"probe of {file.name} in {plan.runtime}")
            return _answer(folder, plan)


def _lay_out(inputs: NDArray[Any], place: Path) -> None:
    """Put samples where the probe looks for them; those that are a whole .npy file are linked, for a copy may be gigabytes."""
    file = _whole_file(inputs)
    if file is not None:
        place.symlink_to(file)
    else:
        np.save(place, inputs, allow_pickle=False)


def _whole_file(inputs: NDArray[Any]) -> Path | None:
    """The .npy file that the samples are mapped from, when they are all of it and cannot have been changed since."""
    base: object = inputs.base  # of a slice it is the array that was sliced
    if not isinstance(inputs, np.memmap) or not isinstance(base, mmap) or inputs.mode != "r":
        return None
    file = Path(str(inputs.filename)).absolute()
    whole = file.suffix == ".npy" and 0 < inputs.offset == file.stat().st_size - inputs.nbytes
    return file if whole else None


@contextmanager
def _lease() -> Iterator[None]:
    """Hold the machine's lock; it falls with the process that holds it, however that ends."""
    descriptor = _open_lock(Path(tempfile.gettempdir()) / "edgewright-local-device.lock")
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with stage("Waiting for this machine: another measurement runs on it"):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    """Open for reading, which is all a lock needs, so that another user's lock file serves as well."""
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)


def _run(folder: Path, threads: int, timeout: float, what: str) -> None:
    printed = folder / "printed.txt"
    environment = os.environ | dict.fromkeys(_THREADS, str(threads))
    with printed.open("wb") as stream:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "edgewright.probe", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=environment,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DeviceError(
                f"{what} was stopped after {timeout:g} s",
                where=_tail(printed),
                to_do="raise device_options.timeout, or lower measuring.invocations",
            ) from None
    if done.returncode == 0:
        return
    error = folder / probe.ERROR
    if error.is_file():
        raise probe.error_of(error)
    raise DeviceError(
        f"{what} {_ending(done.returncode)}",
        where=_tail(printed),
        to_do="SIGKILL often means that memory ran out; any other signal is a fault in the runtime or the file",
    )


def _answer(folder: Path, plan: ProbePlan) -> tuple[ProbeFacts, NDArray[Any] | None]:
    try:
        facts = ProbeFacts.model_validate_json((folder / probe.FACTS).read_bytes())
        outputs = np.load(folder / probe.OUTPUTS, allow_pickle=False) if plan.outputs else None
    except (OSError, ValueError, ValidationError) as error:
        raise DeviceError(f"the probe ended without a readable answer: {error}", to_do="report this as a bug") from error
    return facts, outputs


def _ending(code: int) -> str:
    return f"crashed with {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _tail(printed: Path) -> str:
    lines = printed.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-_LAST_LINES:]
    return "its last lines: " + "\n    ".join(lines) if lines else "it printed nothing"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines() if cpuinfo.is_file() else []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return fields.get("model name") or fields.get("Model") or platform.processor() or "unknown processor"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()
