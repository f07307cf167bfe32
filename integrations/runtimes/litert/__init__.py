# SPDX-License-Identifier: Apache-2.0
"""LiteRT (formerly TensorFlow Lite) on the processor: exports, quantizes and executes .tflite files.

Files take channels last, as every .tflite accelerator wants them. Toolkits are imported when needed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgewright.bundle import copy_whole
from edgewright.config.base import Config
from edgewright.config.file_passes import DynamicW8, Float16, PtqW8A8, PtqW8A16, WeightOnlyW4
from edgewright.exported_model import ExportedModel
from edgewright.integrations.runtimes.litert import file as tflite_file
from edgewright.integrations.runtimes.litert import keras_export, quantized
from edgewright.integrations.runtimes.litert.names import shorten
from edgewright.integrations.runtimes.litert.operators import operators
from edgewright.integrations.runtimes.litert.session import LiteRTSession, open_session
from edgewright.integrations.runtimes.litert.static import to_static
from edgewright.integrations.runtimes.litert.weights import to_dynamic, to_float16, to_int4
from edgewright.runtime import Array, FilePass, Onboard, OperatorUse, Runtime, Signature


class LiteRT(Runtime):
    """Executes .tflite files on the processor, with XNNPACK."""

    name: ClassVar[str] = "litert"
    format: ClassVar[str] = "tflite"
    suffix: ClassVar[str] = ".tflite"
    requires: ClassVar[tuple[str, ...]] = ("litert_torch", "ai_edge_quantizer", "ai_edge_litert.interpreter")
    runs_with: ClassVar[tuple[str, ...]] = ("ai_edge_litert.interpreter",)
    onboard: ClassVar[Onboard] = Onboard((open_session.__module__,), "pip install ai-edge-litert")
    frameworks: ClassVar[tuple[str, ...]] = ("pytorch", "keras", "tflite")
    takes_quantized: ClassVar[bool] = True
    install: ClassVar[str] = "pip install 'edgewright[litert]'"
    channel_multiple: ClassVar[int] = 8  # XNNPACK's kernels make 8 channels at a time

    @property
    def passes(self) -> Mapping[type[Any], FilePass]:
        """Static quantization with integer inputs and outputs, dynamic quantization, int4 matrices, and float16 weights."""
        return {PtqW8A8: to_static, PtqW8A16: to_static, DynamicW8: to_dynamic, WeightOnlyW4: to_int4, Float16: to_float16}

    def export(self, model: Any, example: Array, out: Path, options: Config) -> None:  # noqa: ARG002
        """Write the model as a .tflite file with a batch of one and channels last; an exported one as it is.

        Raises:
            ExportError: the converter refused the model; the operator is named where it is known.
        """
        if isinstance(model, ExportedModel):
            copy_whole(model.file, out)
            return
        (keras_export if keras_export.is_keras(model) else tflite_file).export(model, example, out)
        shorten(out)

    def export_quantized(self, model: Any, example: Array, out: Path, options: Config) -> None:  # noqa: ARG002
        """Write a model that was trained with its quantization: int8 throughout, inputs and outputs too.

        Raises:
            ExportError: the toolkit refused the model, or left a layer in float; it is named.
        """
        (keras_export if keras_export.is_keras(model) else quantized).export_quantized(model, example, out)
        shorten(out)

    def inspect(self, file: Path) -> Signature:
        """Read names, shapes, dtypes, layout and quantization, after verifying the file's structure.

        Raises:
            ExportError: the file is not a whole, valid .tflite file.
        """
        return tflite_file.inspect(file)

    def load(self, file: Path, threads: int) -> LiteRTSession:
        """Load a file once.

        Raises:
            ExportError: LiteRT refuses the file; the operator is named where it is known.
        """
        return open_session(file, threads)

    def operators(self, file: Path) -> list[OperatorUse]:
        """Read all operators, in the order they are executed, each with its layer.

        Raises:
            ExportError: the file is not a whole, valid .tflite file.
        """
        return operators(file)
