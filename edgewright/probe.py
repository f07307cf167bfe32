# SPDX-License-Identifier: Apache-2.0
"""The host's side of a probe: what is asked in a folder, and what was answered (`edgewright.onboard.probe` serves it).

`python -m edgewright.probe FOLDER` serves a folder where edgewright is installed, with any runtime, a user's own too.
"""

import ctypes
import importlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.arrays import UNREADABLE
from edgewright.artifact import ArtifactManifest
from edgewright.device import THREAD_VARIABLES, ProbeFacts, ProbePlan
from edgewright.errors import DeviceError, ToolkitMissing
from edgewright.measure import Frozen
from edgewright.onboard.digest import sha256_of
from edgewright.onboard.lease import lease
from edgewright.onboard.probe import ERROR, FACTS, INPUTS, OUTPUTS, REQUEST, Load, Prepare, serve
from edgewright.plugins import find, missing
from edgewright.progress import stage
from edgewright.runtime import Runtime

Array = NDArray[Any]
_LAST_LINES = 12
_WAITING = "Waiting for this machine: another measurement runs on it"
_PR_SET_PDEATHSIG = 1


class ProbeRequest(Frozen):
    """What one probe is asked to do."""

    nonce: str
    """Repeated in the answer, which is this request's only then."""
    file: str
    """Main file of the artifact; relative to the folder of the request, or absolute."""
    manifest: ArtifactManifest
    plan: ProbePlan
    module: str = ""
    """Of a packed probe: the module whose ``open_session`` opens the file."""
    needs: tuple[str, ...] = ()
    """Of a packed probe: modules that must be installed on the device."""
    install: str = ""
    """Of a packed probe: the pip line that brings them."""


def new_request(file: str, manifest: ArtifactManifest, plan: ProbePlan, **onboard: Any) -> ProbeRequest:
    """Make a request with a nonce of its own."""
    return ProbeRequest(nonce=secrets.token_hex(16), file=file, manifest=manifest, plan=plan, **onboard)


def lay_out(request: ProbeRequest, inputs: Array, folder: Path) -> None:
    """Write a request and its samples; those that are a whole .npy file are linked, for a copy may be gigabytes."""
    (folder / REQUEST).write_text(request.model_dump_json(), encoding="utf-8")
    file = _whole_file(inputs)
    if file is not None:
        (folder / INPUTS).symlink_to(file)
    else:
        np.save(folder / INPUTS, inputs, allow_pickle=False)


def read_answer(folder: Path, request: ProbeRequest) -> tuple[ProbeFacts, Array | None]:
    """Read what was answered to a request.

    Raises:
        DeviceError: the probe reported an error, or its answer is missing, damaged, or another request's.
    """
    try:
        if (folder / ERROR).is_file():
            page = json.loads((folder / ERROR).read_bytes())
            raise DeviceError(str(page["what"]), where=str(page["where"]), to_do=str(page["to_do"]))
        answer = json.loads((folder / FACTS).read_bytes())
        if answer["nonce"] != request.nonce:
            raise ValueError("it is the answer to another request")
        facts = ProbeFacts.model_validate(answer["facts"])
        if not request.plan.outputs:
            return facts, None
        if sha256_of(folder / OUTPUTS) != answer["outputs"]:
            raise ValueError(f"{OUTPUTS} was damaged on the way (its sha256 differs)")
        # Mapped first: a file that claims to hold more than it does is refused before memory is taken for it.
        return facts, np.array(np.load(folder / OUTPUTS, mmap_mode="r", allow_pickle=False))
    except UNREADABLE as error:
        raise DeviceError(
            f"the probe ended without a readable answer: {error}", to_do="run it again; if it stays, report it as a bug"
        ) from error


def probe_here(
    request: ProbeRequest, inputs: Array, command: Sequence[str], environment: Mapping[str, str], timeout: float
) -> tuple[ProbeFacts, Array | None]:
    """Have a command serve a request on this machine, once no other probe runs on it.

    Args:
        request: what is asked; its file by an absolute path.
        inputs: stored samples (N, …).
        command: takes the request's folder as its last argument; its standard input ends when this process does.
        environment: variables it gets, beside those that set the number of threads.
        timeout: seconds it may take.

    Raises:
        DeviceError: it reported an error, crashed, or took longer.
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-probe-") as name:
        folder = Path(name)
        lay_out(request, inputs, folder)
        given = {**environment, **dict.fromkeys(THREAD_VARIABLES, str(request.plan.threads))}
        with ExitStack() as waiting, lease(lambda: waiting.enter_context(stage(_WAITING))):
            waiting.close()
            _run([*command, name], folder, given, timeout, f"probe of {Path(request.file).name} in {request.plan.runtime}")
        return read_answer(folder, request)


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float, what: str) -> None:
    printed = folder / "printed.txt"
    standard_input, link = os.pipe()
    try:
        with printed.open("wb") as stream:
            done = subprocess.run(
                command,
                stdin=standard_input,
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
    finally:
        os.close(link)
        os.close(standard_input)
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


def _whole_file(inputs: Array) -> Path | None:
    """The .npy file that the samples are mapped from, when they are all of it and cannot have been changed since."""
    base: object = inputs.base  # of a slice it is the array that was sliced
    if not isinstance(inputs, np.memmap) or not isinstance(base, mmap) or inputs.mode != "r":
        return None
    file = Path(str(inputs.filename)).absolute()
    whole = file.suffix == ".npy" and 0 < inputs.offset == file.stat().st_size - inputs.nbytes
    return file if whole else None


def import_runtime(name: str) -> Runtime:
    """Return a runtime with all that running needs imported.

    Raises:
        ConfigError: no runtime has this name.
        ToolkitMissing: a toolkit that running needs is not installed.
    """
    plugin = find("runtimes", name)
    needed = plugin.runs_with or plugin.requires
    lacking = [module for module in missing(plugin) if module in needed]
    if lacking:
        raise ToolkitMissing.of(f"runtime {name!r}", lacking, plugin.install)
    for module in needed:
        importlib.import_module(module)
    runtime: Runtime = plugin()
    return runtime


def _loader(request: Any) -> tuple[Prepare, Load]:
    runtime = import_runtime(request.plan.runtime)
    return runtime.prepare, runtime.load


def _end_with_parent() -> None:
    """On Linux, have the kernel end this process when the one that started it ends (PR_SET_PDEATHSIG in prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    _end_with_parent()
    sys.exit(serve(Path(sys.argv[1]), _loader))
