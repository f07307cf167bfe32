# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the processor: exports IR files (.xml and .bin), quantizes them with NNCF, executes them.

Toolkits are imported when needed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from edgewright.config.base import Config
from edgewright.config.file_passes import DynamicW8, Float16, PtqW8A8, WeightOnlyW4
from edgewright.integrations.runtimes.openvino import convert
from edgewright.integrations.runtimes.openvino import file as ir_file
from edgewright.integrations.runtimes.openvino.session import OpenVINOSession, open_session
from edgewright.integrations.runtimes.openvino.static import to_static
from edgewright.integrations.runtimes.openvino.weights import to_dynamic, to_float16, to_int4
from edgewright.runtime import Array, FilePass, Onboard, Runtime, Signature


class OpenVINO(Runtime):
    """Executes OpenVINO IR files on the processor."""

    name: ClassVar[str] = "openvino"
    format: ClassVar[str] = "openvino_ir"
    suffix: ClassVar[str] = ".xml"
    companions: ClassVar[tuple[str, ...]] = (".bin",)
    requires: ClassVar[tuple[str, ...]] = ("openvino", "nncf")
    runs_with: ClassVar[tuple[str, ...]] = ("openvino",)
    onboard: ClassVar[Onboard] = Onboard((open_session.__module__,), "pip install openvino")
    frameworks: ClassVar[tuple[str, ...]] = ("pytorch", "keras", "onnx", "tflite")
    takes_quantized: ClassVar[bool] = True
    install: ClassVar[str] = "pip install 'edgewright[openvino]'"
    channel_multiple: ClassVar[int] = 8  # its kernels convolve blocks of 8 channels, 16 with AVX-512

    class Options(Config):
        """Options in `targets[].options`."""

        inference_precision: Literal["f32", "bf16", "f16"] = "f32"
        """What layers that are not quantized compute in. OpenVINO by itself takes bf16 or f16 where the processor has it,
        without a word; the file says what was chosen, and a processor without it is refused."""

    @property
    def passes(self) -> Mapping[type[Any], FilePass]:
        """Static quantization, int8 and int4 weights, and float16; it has no 16-bit activations."""
        return {PtqW8A8: to_static, DynamicW8: to_dynamic, WeightOnlyW4: to_int4, Float16: to_float16}

    def export(self, model: Any, example: Array, out: Path, options: Config) -> None:
        """Write the model as IR with a batch of one, batch normalization folded.

        Raises:
            ExportError: OpenVINO refused the model; the operator is named where it is known.
        """
        assert isinstance(options, self.Options)  # noqa: S101 - narrows the type: a runtime gets its own options
        convert.export(model, example, out, options.inference_precision)

    def export_quantized(self, model: Any, example: Array, out: Path, options: Config) -> None:
        """Write a model that was trained with its quantization: int8 weights, float32 inputs and outputs.

        Raises:
            ExportError: OpenVINO refused the model, or left a layer in float; it is named.
        """
        assert isinstance(options, self.Options)  # noqa: S101 - as above
        convert.export_quantized(model, example, out, options.inference_precision)

    def inspect(self, file: Path) -> Signature:
        """Read names, shapes, dtypes and layout, and the quantization step behind float outputs.

        Raises:
            ExportError: the file is not a whole IR file, or its .bin is missing or cut short.
        """
        return ir_file.inspect(file)

    def load(self, file: Path, threads: int) -> OpenVINOSession:
        """Compile a file for the processor, in the precision it declares and with ``threads`` threads.

        Raises:
            ExportError: OpenVINO refuses the file, or computes it in another precision.
        """
        return open_session(file, threads)
