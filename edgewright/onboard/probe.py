# SPDX-License-Identifier: Apache-2.0
"""The probe: loads one file, times it, takes its outputs, in a process of its own.

FOLDER holds request.json and inputs.npy (raw stored samples); facts.json and outputs.npy are written into it, or
error.json. A process of its own makes its peak memory the artifact's own. The answer repeats the request's nonce, so that
what an earlier run left behind is never taken for it.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.errors import DeviceError, EdgewrightError, ToolkitMissing
from edgewright.onboard.digest import sha256_of
from edgewright.onboard.machine import check_machine
from edgewright.onboard.run import run_plan

if TYPE_CHECKING:
    from edgewright.onboard.preprocess import Array
    from edgewright.runtime import Session

REQUEST, INPUTS, FACTS, OUTPUTS, ERROR = "request.json", "inputs.npy", "facts.json", "outputs.npy", "error.json"

Prepare = Callable[[Path], None]
Load = Callable[[Path, int], "Session"]
Loader = Callable[[Any], "tuple[Prepare, Load]"]
"""Imports what the requested runtime needs; returns what makes of a file what is opened, and what opens it."""


class Spec:
    """A JSON object as one with attributes: what pydantic types are on the host."""

    def __init__(self, fields: dict[str, Any]) -> None:
        vars(self).update(fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(tuple(sorted(vars(self).items())))  # of one that holds plain values, such as a front end


def serve(folder: Path, loader: Loader, hold: Callable[[], AbstractContextManager[None]] = nullcontext) -> int:
    """Serve the request in ``folder``; 0 when its answer is there, 3 when error.json says why not.

    Args:
        folder: holds request.json and inputs.npy.
        loader: of the machine that this runs on.
        hold: held while the file is opened and run: the lease of the machine, where nobody holds it already.
    """
    nonce = ""
    try:
        request: Any = json.loads((folder / REQUEST).read_text(encoding="utf-8"), object_hook=Spec)
        nonce = request.nonce
        with hold():
            for name in (FACTS, OUTPUTS, ERROR):  # of a run whose link broke
                (folder / name).unlink(missing_ok=True)
            facts, outputs = _run(folder, request, loader)
        answer = {"nonce": nonce, "facts": facts, "outputs": None}
        if outputs is not None:
            np.save(folder / OUTPUTS, outputs, allow_pickle=False)
            answer["outputs"] = sha256_of(folder / OUTPUTS)
        (folder / FACTS).write_text(json.dumps(answer), encoding="utf-8")
    except Exception as error:  # whatever it is, the process that asked has to be told
        told = as_device_error(error)
        page = {"nonce": nonce, "what": told.what, "where": told.where, "to_do": told.to_do}
        (folder / ERROR).write_text(json.dumps(page), encoding="utf-8")
        return 3
    return 0


def _run(folder: Path, request: Any, loader: Loader) -> tuple[dict[str, Any], Array | None]:
    file = folder / request.file
    check_machine(file)
    prepare, load = loader(request)
    prepare(file)
    stored = np.load(folder / INPUTS, mmap_mode="r", allow_pickle=False)
    return run_plan(lambda: load(file, request.plan.threads), request.manifest, stored, request.plan, own_process=True)


def onboard_loader(request: Any) -> tuple[Prepare, Load]:
    """Import what the runtime needs; return what prepares and opens a file, from the modules that came with the probe.

    Raises:
        ToolkitMissing: a module is not installed on this machine; the message is the pip line.
    """
    lacking = [module for module in request.needs if not _importable(module)]
    if lacking:
        raise ToolkitMissing(
            f"runtime {request.plan.runtime!r} needs {', '.join(lacking)}, which is not installed on the device",
            to_do=f"run there: {sys.executable} -m {request.install}",
        )
    # before its toolkit, which it may keep from reporting home
    runtime = importlib.import_module(request.module)
    for module in request.needs:
        importlib.import_module(module)
    return getattr(runtime, "prepare", _as_it_is), runtime.open_session


def _as_it_is(file: Path) -> None:
    """Most files are opened as they are."""


def as_device_error(error: Exception) -> DeviceError:
    """Say of any error of runtime or file that the device could not do it, keeping its own words."""
    if isinstance(error, EdgewrightError):
        return DeviceError(error.what, where=error.where, to_do=error.to_do)
    return DeviceError(f"{type(error).__name__}: {error}", to_do="the runtime failed on this file; try another recipe")


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
