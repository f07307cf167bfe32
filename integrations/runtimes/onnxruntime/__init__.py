# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the processor: exports ONNX files, quantizes them, executes them. Toolkits are imported when needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgewright.config.base import Config
from edgewright.config.file_passes import DynamicW8, Float16, PtqW8A8, PtqW8A16, WeightOnlyW4
from edgewright.exported_model import ExportedModel
from edgewright.integrations.runtimes.onnxruntime import file as onnx_file
from edgewright.integrations.runtimes.onnxruntime import keras_export, quantized, saturation
from edgewright.integrations.runtimes.onnxruntime.adopt import adopt
from edgewright.integrations.runtimes.onnxruntime.session import OnnxSession, open_session
from edgewright.integrations.runtimes.onnxruntime.static import to_static
from edgewright.integrations.runtimes.onnxruntime.weights import to_dynamic, to_float16, to_int4
from edgewright.runtime import Array, FilePass, Onboard, Runtime, Signature


class OnnxRuntime(Runtime):
    """Executes ONNX files on the processor."""

    name: ClassVar[str] = "onnxruntime"
    format: ClassVar[str] = "onnx"
    suffix: ClassVar[str] = ".onnx"
    requires: ClassVar[tuple[str, ...]] = ("onnx", "onnxscript", "onnxruntime")
    runs_with: ClassVar[tuple[str, ...]] = ("onnxruntime",)
    onboard: ClassVar[Onboard] = Onboard((open_session.__module__,), "pip install onnxruntime")
    frameworks: ClassVar[tuple[str, ...]] = ("pytorch", "keras", "onnx")
    takes_quantized: ClassVar[bool] = True
    install: ClassVar[str] = "pip install 'edgewright[onnxruntime]'"
    channel_multiple: ClassVar[int] = 8  # its kernels on x86 and ARM convolve blocks of 8 channels

    @property
    def passes(self) -> Mapping[type[Any], FilePass]:
        """Static quantization in QDQ format, dynamic quantization, int4 matrices, and float16."""
        return {PtqW8A8: to_static, PtqW8A16: to_static, DynamicW8: to_dynamic, WeightOnlyW4: to_int4, Float16: to_float16}

    def export(self, model: Any, example: Array, out: Path, options: Config) -> None:  # noqa: ARG002
        """Write the model as an ONNX file with a batch of one, batch normalization folded; an exported one as it is.

        Raises:
            ExportError: torch or ONNX refused the model; the operator is named where it is known.
        """
        if isinstance(model, ExportedModel):
            adopt(model.file, out)
            return
        (keras_export if keras_export.is_keras(model) else onnx_file).export(model, example, out)

    def export_quantized(self, model: Any, example: Array, out: Path, options: Config) -> None:  # noqa: ARG002
        """Write a model that was trained with its quantization: uint8 activations, and float32 inputs and outputs.

        Raises:
            ExportError: the toolkit refused the model, or left a layer in float; it is named.
        """
        (keras_export if keras_export.is_keras(model) else quantized).export_quantized(model, example, out)

    def without_saturation(self, file: Path, out: Path) -> dict[str, Any]:
        """Write the file with uint8 weights instead of int8 ones.

        Raises:
            ExportError: the file is not readable.
        """
        return saturation.without_saturation(file, out)

    @classmethod
    def files(cls, file: Path) -> tuple[Path, ...]:
        """Return the file and those beside it that hold its weights.

        Raises:
            ExportError: the file is not readable, or such a file is not there.
        """
        return file, *onnx_file.companions(file)

    def inspect(self, file: Path) -> Signature:
        """Read names, shapes, dtypes and layout, and the quantization step behind float outputs.

        Raises:
            ExportError: the file is not a whole, valid ONNX file.
        """
        return onnx_file.inspect(file)

    def load(self, file: Path, threads: int) -> OnnxSession:
        """Load a file once, operators in sequence, ``threads`` threads within one.

        Raises:
            ExportError: ONNX Runtime refuses the file; the operator is named where it is known.
        """
        return open_session(file, threads)
