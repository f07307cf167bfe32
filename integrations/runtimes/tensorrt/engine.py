# SPDX-License-Identifier: Apache-2.0
"""Engines: built of an ONNX file by the GPU that runs them, once, and kept in the user's cache.

Building takes minutes and gigabytes; opening a built engine is what an application does. So it is built in a process of its
own, and the engine whose outputs are judged is the one that is timed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgewright.errors import DeviceError, EdgewrightError, ExportError
from edgewright.integrations.runtimes.tensorrt.cuda import Cuda
from edgewright.onboard.digest import sha256_of
from edgewright.onboard.refusals import said

OLDEST = 10
"""Version since which TensorRT takes int8 weights as they stand in the file; JetPack 6.1 brings it."""
_MAIN = f"import sys; from {__name__} import main; sys.exit(main())"


def engine_of(file: Path) -> Path:
    """Return the engine of an ONNX file for this GPU and this TensorRT: from the cache, or built now.

    Raises:
        ExportError: TensorRT refuses the file; the operator is named where it is known.
    """
    places = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # a packed probe is one of them
    done = subprocess.run(
        [sys.executable, "-c", _MAIN, str(file)], env=places, capture_output=True, text=True, errors="replace", check=False
    )
    last = (done.stdout.strip() or done.stderr.strip() or "it printed nothing").splitlines()[-1]
    if done.returncode == 0:
        return Path(last)
    raise ExportError(
        f"TensorRT builds no engine of the file (exit status {done.returncode}): {last}",
        where=str(file),
        to_do="replace the operator in the model, or take another recipe",
    )


def main() -> int:
    """In a process of its own: print where the engine of the file in the arguments lies, or why there is none."""
    try:
        sys.stdout.write(f"{_found_or_built(Path(sys.argv[1]))}\n")
    except EdgewrightError as refusal:
        sys.stdout.write(f"{refusal.what}\n")
        return 1
    except Exception as error:
        sys.stdout.write(f"{said(error)}\n")
        return 1
    return 0


def new_log() -> Any:
    """Return a logger for TensorRT that keeps errors in ``errors`` and drops the rest."""
    import tensorrt

    class Log(tensorrt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            tensorrt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (tensorrt.ILogger.INTERNAL_ERROR, tensorrt.ILogger.ERROR):
                self.errors.append(" ".join(message.split()))

    return Log()


def _found_or_built(file: Path) -> Path:
    import tensorrt

    if int(tensorrt.__version__.split(".")[0]) < OLDEST:
        raise DeviceError(f"it is version {tensorrt.__version__}, and {OLDEST} is the oldest that works (JetPack 6.1)")
    made_by = f"{sha256_of(file)} {tensorrt.__version__} {Cuda().name}"
    engine = _cache() / f"{hashlib.sha256(made_by.encode()).hexdigest()}.engine"
    if not engine.is_file():
        plan = _build(file)
        engine.parent.mkdir(parents=True, exist_ok=True)
        part = engine.with_suffix(f".{os.getpid()}")
        part.write_bytes(plan)
        part.replace(engine)
    return engine


def _build(file: Path) -> bytes:
    """Build as the file says: types are those of its tensors, and float32 is computed in float32, not in TF32."""
    import tensorrt

    log = new_log()
    builder = tensorrt.Builder(log)
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = tensorrt.OnnxParser(network, log)
    if not parser.parse_from_file(str(file)):
        raise ExportError("; ".join(parser.get_error(index).desc() for index in range(parser.num_errors)))
    config = builder.create_builder_config()
    config.clear_flag(tensorrt.BuilderFlag.TF32)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ExportError("; ".join(log.errors))
    return bytes(plan)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgewright" / "tensorrt"
