# SPDX-License-Identifier: Apache-2.0
"""This machine, each probe in a fresh process. The machine is leased: two probes on it never overlap."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, ClassVar

from numpy.typing import NDArray
from pydantic import Field

from edgewright import probe
from edgewright.artifact import ArtifactManifest
from edgewright.config.base import Config
from edgewright.device import THREAD_VARIABLES, Device, ProbeFacts, ProbePlan
from edgewright.errors import DeviceError
from edgewright.measure import DeviceFacts, Evidence
from edgewright.onboard.lease import lease
from edgewright.onboard.machine import machine
from edgewright.onboard.probe import ERROR
from edgewright.progress import stage

_WAITING = "Waiting for this machine: another measurement runs on it"
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

    def facts(self, threads: int, options: Config) -> DeviceFacts:  # noqa: ARG002 - the port's signature
        """Describe this machine."""
        return DeviceFacts(name="local", kind=self.name, threads=threads, **machine())

    def probe(
        self, file: Path, manifest: ArtifactManifest, inputs: NDArray[Any], plan: ProbePlan, options: Config
    ) -> tuple[ProbeFacts, NDArray[Any] | None]:
        """Run the plan in a fresh process, once no other probe runs on this machine.

        Raises:
            DeviceError: the process reported an error, crashed, or took longer than the timeout.
        """
        assert isinstance(options, self.Options)  # noqa: S101 - narrows the type: a device gets its own options
        request = probe.new_request(str(file.resolve()), manifest, plan)
        with tempfile.TemporaryDirectory(prefix="edgewright-probe-") as name:
            folder = Path(name)
            probe.lay_out(request, inputs, folder)
            with ExitStack() as waiting, lease(lambda: waiting.enter_context(stage(_WAITING))):
                waiting.close()
                _run(folder, plan.threads, options.timeout + plan.lasts_s, f"probe of {file.name} in {plan.runtime}")
            return probe.read_answer(folder, request)


def _run(folder: Path, threads: int, timeout: float, what: str) -> None:
    printed = folder / "printed.txt"
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
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
    if done.returncode == 0 or (folder / ERROR).is_file():
        return
    raise DeviceError(
        f"{what} {_ending(done.returncode)}",
        where=_tail(printed),
        to_do="SIGKILL often means that memory ran out; any other signal is a fault in the runtime or the file",
    )


def _ending(code: int) -> str:
    return f"crashed with {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _tail(printed: Path) -> str:
    lines = printed.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-_LAST_LINES:]
    return "its last lines: " + "\n    ".join(lines) if lines else "it printed nothing"
