# SPDX-License-Identifier: Apache-2.0
"""A loaded IR file on the processor, in the precision that it declares."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from edgewright.errors import ExportError
from edgewright.onboard.preprocess import Array
from edgewright.onboard.refusals import refusals

# The one thing done at import: `import openvino` itself reports home, unasked, and has no variable to turn that off.
# Without the package that sends, OpenVINO and NNCF take a stub.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: importing it fails

_HINT = "INFERENCE_PRECISION_HINT"
PRECISION = ["runtime_options", _HINT]
"""Where a file says what layers that are not quantized compute in."""
_HEAD = 1024


class OpenVINOSession:
    """A compiled IR file."""

    def __init__(self, compiled: Any, file: Path, threads: int) -> None:
        self._file, self._threads = file, threads
        self._request = compiled.create_infer_request()

    def run(self, sample: Array) -> Array:
        """Run one sample (1, …)."""
        output: Array = self._request.infer({0: sample}, share_inputs=True)[0]
        return output

    def resize(self, batch: int) -> None:
        """Compile the file anew for batches, where all operators can.

        Raises:
            ExportError: one cannot, in OpenVINO's words.
        """
        import openvino

        model = read(self._file)
        with refusals(f"the file does not take a batch of {batch}", self._file, ""):
            shape = model.input(0).get_partial_shape()
            shape[0] = batch
            model.reshape(shape)
            compiled = openvino.Core().compile_model(model, "CPU", _settings(precision(model), self._threads))
            self._request = compiled.create_infer_request()

    def arena_bytes(self) -> int | None:
        """Unknown: OpenVINO takes memory as it needs it."""
        return None


def open_session(file: Path, threads: int) -> OpenVINOSession:
    """Compile a file for one stream of ``threads`` threads.

    Raises:
        ExportError: OpenVINO refuses the file, or computes in another precision than the file declares: by itself it
            takes what is fastest, bf16 for f32 where the processor has it.
    """
    import openvino

    model = read(file)
    asked = precision(model)
    with refusals("OpenVINO does not load the file", file):
        compiled = openvino.Core().compile_model(model, "CPU", _settings(asked, threads))
        taken = compiled.get_property(_HINT).get_type_name()
    if taken != asked:
        raise ExportError(
            f"OpenVINO computes in {taken} here, and the file asks for {asked}",
            where=str(file),
            to_do="set the target's option inference_precision to what its processor has; all have f32",
        )
    return OpenVINOSession(compiled, file, threads)


def read(file: Path) -> Any:
    """Read an IR file as an ``openvino.Model``.

    Raises:
        ExportError: it is cut short or another format, or its .bin is missing or cut short.
    """
    import openvino

    weights = file.with_suffix(".bin")
    with refusals("not a readable OpenVINO file", file, f"export it again; its weights are in {weights.name} beside it"):
        with file.open("rb") as stream:
            if b"<net" not in stream.read(_HEAD):  # else OpenVINO tries whether it is a file of some other framework
                raise ValueError("it does not begin as an IR file does")
        return openvino.Core().read_model(str(file), str(weights))


def precision(model: Any) -> str:
    """What layers that are not quantized compute in: as the file says, or f32."""
    return str(model.get_rt_info(PRECISION).astype(str)) if model.has_rt_info(PRECISION) else "f32"


def _settings(asked: str, threads: int) -> dict[str, Any]:
    return {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads, _HINT: asked}
