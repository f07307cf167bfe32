# SPDX-License-Identifier: Apache-2.0
"""Run one function in a fresh Python process: converters are heavy, and a few crash.

Arguments and result are JSON, paths travel as text. What the child prints goes into a log, its errors come back as
the same error class, and a child whose parent is gone ends itself.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any

from edgewright import errors
from edgewright.errors import FULL, MAKE_ROOM, EdgewrightError, ExportError
from edgewright.runtime import said

_QUIET = {
    "CUDA_VISIBLE_DEVICES": "",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONHASHSEED": "0",  # toolkits iterate over sets of names: the same input has to give the same bytes
    "PYTHONIOENCODING": "utf-8",
}
_LAST_LINES = 8
_LONGEST_LINE = 240


def call(function: str, *args: Any, label: str, log: Path | None = None) -> Any:
    """Return what 'module:function' returns in a process of its own.

    Args:
        function: importable from here; takes and returns what JSON can hold, and finds paths as text.
        args: its arguments.
        label: what it does, for messages: 'export for litert'.
        log: file for all that the child prints; left out, only the last lines are kept, for the message.

    Raises:
        EdgewrightError: the class that the child raised.
        ExportError: the child crashed or raised anything else; its last lines are in the message.
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-child-") as folder:
        request, answer = Path(folder) / "request.json", Path(folder) / "answer.json"
        request.write_text(json.dumps({"function": function, "args": args}, default=str), encoding="utf-8")
        printed = log or Path(folder) / "printed.log"
        status = _run([sys.executable, "-P", "-m", "edgewright.isolate", str(request), str(answer)], printed)
        if not answer.is_file():
            raise ExportError(f"{label}: {_ending(status)}", where=_last_lines(printed), to_do=_to_do(status))
        told = json.loads(answer.read_text(encoding="utf-8"))
    if "result" in told:
        return told["result"]
    raise _error_class(told["error"])(told["what"], where=told["where"] or label, to_do=told["to_do"])


def _run(command: list[str], printed: Path) -> int:
    with printed.open("wb") as stream:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=stream, stderr=subprocess.STDOUT, env=_environment()
        )  # stdin is held open and never written: it ends when this process does
        try:
            return child.wait()
        finally:
            child.kill()
            child.wait()
            if child.stdin is not None:
                child.stdin.close()


def _environment() -> dict[str, str]:
    return {**os.environ, **_QUIET, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _ending(status: int) -> str:
    if status >= 0:
        return f"the process ended with exit status {status}"
    return f"the process crashed ({signal.Signals(-status).name})"


def _to_do(status: int) -> str:
    if status == -signal.SIGKILL:
        return "the system ended it, most often for want of memory: free some, or take fewer calibration samples"
    return "the toolkit cannot handle this model; try another recipe, or report it to the toolkit"


def _last_lines(printed: Path) -> str:
    lines = [line.strip() for line in printed.read_text(encoding="utf-8", errors="replace").splitlines()]
    return "\n         ".join(line[:_LONGEST_LINE] for line in [line for line in lines if line][-_LAST_LINES:])


def _error_class(name: str) -> type[EdgewrightError]:
    found = getattr(errors, name, ExportError)
    return found if isinstance(found, type) and issubclass(found, EdgewrightError) else ExportError


def main(request: Path, answer: Path) -> None:
    """Serve one request: call the function, and leave its result or its error in ``answer``."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asked = json.loads(request.read_text(encoding="utf-8"))
    module, _, name = asked["function"].partition(":")
    try:
        told = {"result": getattr(importlib.import_module(module), name)(*asked["args"])}
    except EdgewrightError as error:
        told = {"error": type(error).__name__, "what": error.what, "where": error.where, "to_do": error.to_do}
    except Exception as error:  # whatever it is, the process that asked has to be told
        traceback.print_exc()
        told = {"error": "ExportError", "what": said(error), "where": "", "to_do": "the toolkit's words; try another recipe"}
        if isinstance(error, OSError) and error.errno in FULL:
            told |= {"error": "StoreError", "where": str(error.filename or tempfile.gettempdir()), "to_do": MAKE_ROOM}
    incoming = answer.with_suffix(".incoming")
    incoming.write_text(json.dumps(told), encoding="utf-8")
    incoming.replace(answer)


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
