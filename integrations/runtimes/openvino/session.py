# SPDX-License-Identifier: Apache-2.0
"""A loaded IR file on the processor, in the precision that it declares."""

from pathlib import Path
from typing import Any

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.openvino.file import precision, read
from edgewright.runtime import Array, refusals

_HINT = "INFERENCE_PRECISION_HINT"


class OpenVINOSession:
    """A compiled IR file."""

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()

    def run(self, sample: Array) -> Array:
        """Run one sample (1, …)."""
        output: Array = self._request.infer({0: sample}, share_inputs=True)[0]
        return output

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
    return OpenVINOSession(compiled)


def _settings(asked: str, threads: int) -> dict[str, Any]:
    return {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads, _HINT: asked}
