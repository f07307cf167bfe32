# SPDX-License-Identifier: Apache-2.0
"""TensorRT on NVIDIA's GPUs, those of Jetson boards first: ONNX files of which each device builds its own engine.

An engine runs on the very GPU and version that built it, so the artifact is the file it is built of. Where there is no GPU,
ONNX Runtime computes what the file says (emulated), and nothing is timed.
"""

from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from edgewright.config.file_passes import Float16, PtqW8A8
from edgewright.errors import ExportError
from edgewright.exported_elsewhere import ExportedElsewhere
from edgewright.integrations.runtimes.tensorrt import cuda, engine
from edgewright.integrations.runtimes.tensorrt.emulated import open_emulated
from edgewright.integrations.runtimes.tensorrt.limits import check
from edgewright.integrations.runtimes.tensorrt.session import open_session, prepare
from edgewright.plugins import find
from edgewright.runtime import FilePass, Onboard, PassRequest, Session, Signature

_INSTALL = (
    "pip install tensorrt --extra-index-url https://pypi.nvidia.com"
    " (on a Jetson instead: sudo apt-get install tensorrt python3-libnvinfer)"
)


class TensorRT(ExportedElsewhere):
    """Executes ONNX files with TensorRT."""

    name: ClassVar[str] = "tensorrt"
    format: ClassVar[str] = "onnx"
    suffix: ClassVar[str] = ".onnx"
    requires: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")
    runs_with: ClassVar[tuple[str, ...]] = ("onnxruntime",)
    onboard: ClassVar[Onboard] = Onboard(
        (open_session.__module__, engine.__name__, cuda.__name__), _INSTALL, needs=("tensorrt",)
    )
    install: ClassVar[str] = "pip install 'edgewright[onnxruntime]'"
    exports_with: ClassVar[str] = "onnxruntime"
    borrowed: ClassVar[tuple[type[Any], ...]] = (PtqW8A8, Float16)
    own_passes: ClassVar[bool] = True  # quantized without zero points
    hardware: ClassVar[str] = "an NVIDIA GPU"
    channel_multiple: ClassVar[int] = 8  # the same as ONNX Runtime, so that both share candidates

    @property
    def passes(self) -> Mapping[type[Any], FilePass]:
        """Static quantization without zero points, and float16."""
        return {PtqW8A8: self._to_symmetric, Float16: self._apply}

    @classmethod
    def files(cls, file: Path) -> tuple[Path, ...]:
        """Return the file and those beside it that hold its weights.

        Raises:
            ExportError: the file is not readable, or such a file is not there.
        """
        writer = find("runtimes", cls.exports_with)
        files: tuple[Path, ...] = writer.files(file)
        return files

    def inspect(self, file: Path) -> Signature:
        """Read what the file declares, after making sure that TensorRT takes it.

        Raises:
            ExportError: it is no whole ONNX file, or TensorRT refuses it: the operator is named, with its layer.
        """
        signature = super().inspect(file)
        check(file)
        return signature

    def emulated_here(self) -> bool:
        """Whether there is no TensorRT, or no GPU, on this machine."""
        return find_spec("tensorrt") is None or not cuda.has_gpu()

    def prepare(self, file: Path) -> None:
        """Build the engine for this machine's GPU, unless it is there.

        Raises:
            ExportError: TensorRT refuses the file.
        """
        self.inspect(file)
        if not self.emulated_here():
            prepare(file)

    def load(self, file: Path, threads: int) -> Session:
        """Open the engine of a file; where there is no GPU, the file itself, with ``threads`` threads of the processor.

        Raises:
            ExportError: TensorRT refuses the file; the operator is named where it is known.
        """
        if not self.emulated_here():
            return open_session(file, threads)
        self.inspect(file)
        return open_emulated(file, threads)

    def _to_symmetric(self, request: PassRequest) -> dict[str, Any] | None:
        if request.options.fallback == "int16":
            raise ExportError(
                "TensorRT has no 16-bit activations",
                where=f"recipe {request.options.name}",
                to_do="take ptq_w8a8.fallback, which leaves layers in float",
            )
        return self._apply(replace(request, symmetric=True))
