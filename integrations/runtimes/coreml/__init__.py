# SPDX-License-Identifier: Apache-2.0
"""Core ML: exports ML programs (.mlpackage) with coremltools, compresses and executes them, with an interpreter of our own.

The interpreter runs anywhere and checks the program, not Apple's kernels: outputs and latency are emulated.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from edgewright.artifact import TensorSpec
from edgewright.config.base import Config
from edgewright.config.file_passes import Float16, Palettize, WeightOnlyW8
from edgewright.integrations.runtimes.coreml import convert
from edgewright.integrations.runtimes.coreml.package import INSTALL
from edgewright.integrations.runtimes.coreml.passes import to_float16, to_int8, to_palettes
from edgewright.integrations.runtimes.coreml.program import Program, Tensor, open_program
from edgewright.integrations.runtimes.coreml.quantized import output_step
from edgewright.measure import Evidence
from edgewright.runtime import Array, FilePass, Runtime, Signature, refusals

_LAYOUTS = {4: "NCHW", 3: "NCL", 2: "NF"}


class CoreML(Runtime):
    """Executes ML programs in numpy, as their operators are defined."""

    name: ClassVar[str] = "coreml"
    format: ClassVar[str] = "mlpackage"
    suffix: ClassVar[str] = ".mlpackage"
    requires: ClassVar[tuple[str, ...]] = ("coremltools", "torch", "google.protobuf")
    runs_with: ClassVar[tuple[str, ...]] = ("google.protobuf",)
    takes_quantized: ClassVar[bool] = True
    install: ClassVar[str] = INSTALL
    output_evidence: ClassVar[Evidence] = "emulated"
    latency_evidence: ClassVar[Evidence] = "emulated"
    memory_evidence: ClassVar[Evidence] = "estimated"  # of numpy: unlike an emulated arena it says nothing of the target's
    channel_multiple: ClassVar[int] = 8

    class Options(Config):
        """Options of Core ML in `targets[].options`."""

        minimum_deployment_target: Literal["iOS16", "iOS17", "iOS18", "iOS26"] = "iOS17"
        """Oldest system that has to run the file. Quantized activations need iOS 17."""
        compute_precision: Literal["float32", "float16"] = "float32"
        """What the float file computes in. The Neural Engine computes in float16 alone: in float32 the CPU or the GPU does."""

    @property
    def passes(self) -> Mapping[type[Any], FilePass]:
        """Weights in int8 or palettes, and float16."""
        return {WeightOnlyW8: to_int8, Palettize: to_palettes, Float16: to_float16}

    def export(self, model: Any, example: Array, out: Path, options: Config) -> None:
        """Write the model as an ML program with a batch of one, float32 inputs and outputs.

        Raises:
            ExportError: torch or coremltools refused the model; the operator is named where it is known.
        """
        assert isinstance(options, self.Options)  # noqa: S101 - narrows the type: a runtime gets its own options
        convert.export(model, example, out, options.minimum_deployment_target, options.compute_precision)

    def export_quantized(self, model: Any, example: Array, out: Path, options: Config) -> None:
        """Write a model that was trained with its quantization: float32 inputs and outputs, all between them int8.

        Raises:
            ExportError: the toolkit refused the model, or left a layer in float; it is named.
        """
        assert isinstance(options, self.Options)  # noqa: S101 - as above
        convert.export_quantized(model, example, out, options.minimum_deployment_target, options.compute_precision)

    def inspect(self, file: Path) -> Signature:
        """Read names, shapes, dtypes and layout, and the quantization step behind float outputs.

        Raises:
            ExportError: the package is not whole and valid, takes images, or has an operator that is not supported.
        """
        program = open_program(file)
        return Signature(
            inputs=tuple(_spec(tensor, file, layout=_LAYOUTS.get(len(tensor.shape), "")) for tensor in program.inputs),
            outputs=tuple(_spec(tensor, file, lsb=output_step(program, tensor.name)) for tensor in program.outputs),
        )

    def load(self, file: Path, threads: int) -> "CoreMLSession":  # noqa: ARG002
        """Load a file once; numpy's threads are the process's, whatever ``threads`` allows.

        Raises:
            ExportError: the package is damaged, or has an operator that is not supported; it is named, with its layer.
        """
        return CoreMLSession(open_program(file))


class CoreMLSession:
    """A loaded ML program."""

    def __init__(self, program: Program) -> None:
        self._program, self._input = program, program.inputs[0].name

    def run(self, sample: Array) -> Array:
        """Run one sample (1, …).

        Raises:
            ExportError: an operator cannot be executed on this sample.
        """
        return self._program.run({self._input: sample})[0]

    def arena_bytes(self) -> int | None:
        """Unknown: numpy has no arena."""
        return None


def _spec(tensor: Tensor, file: Path, layout: str = "", lsb: float | None = None) -> TensorSpec:
    with refusals(f"the type of {tensor.name!r} is not supported", file, "give the model float inputs and outputs"):
        dtype = tensor.dtype.lower()
        return TensorSpec.model_validate(
            {"name": tensor.name, "shape": tensor.shape, "dtype": dtype, "layout": layout, "lsb": lsb}
        )
