# SPDX-License-Identifier: Apache-2.0
"""An engine of TensorRT, opened: one sample is copied to the GPU, run, and its answer copied back.

Written for TensorRT 10 and 11 (their Python API, "Performing Inference"). Not run by us yet: no GPU was at hand.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.tensorrt.cuda import Cuda
from edgewright.integrations.runtimes.tensorrt.engine import engine_of, new_log
from edgewright.onboard.preprocess import Array
from edgewright.onboard.refusals import refusals


class TensorRTSession:
    """An open engine."""

    def __init__(self, plan: bytes) -> None:
        import tensorrt

        self._cuda = Cuda()
        self._log = new_log()
        self._runtime = tensorrt.Runtime(self._log)  # has to outlive the engine
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise ExportError(f"TensorRT does not open the engine: {'; '.join(self._log.errors)}")
        self._context = self._engine.create_execution_context()
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        inputs = [name for name in names if self._engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT]
        arrays = {name: self._array(name, tensorrt) for name in names}
        addresses = {name: self._cuda.allocate(array.nbytes) for name, array in arrays.items()}
        for name, address in addresses.items():
            self._context.set_tensor_address(name, address)
        output = next(name for name in names if name not in inputs)
        self._given, self._given_at = arrays[inputs[0]], addresses[inputs[0]]
        self._answer, self._answer_at = arrays[output], addresses[output]

    def run(self, sample: Array) -> Array:
        """Run one sample (1, …)."""
        np.copyto(self._given, sample, casting="no")
        self._cuda.upload(self._given, self._given_at)
        if not self._context.execute_async_v3(self._cuda.stream):
            raise ExportError(f"TensorRT did not run the engine: {'; '.join(self._log.errors)}")
        self._cuda.download(self._answer_at, self._answer)
        self._cuda.wait()
        return self._answer.copy()

    def arena_bytes(self) -> int | None:
        """Unknown: an engine's memory is the GPU's."""
        return None

    def _array(self, name: str, tensorrt: Any) -> Array:
        dtype = tensorrt.nptype(self._engine.get_tensor_dtype(name))
        return np.zeros(tuple(self._engine.get_tensor_shape(name)), dtype)


def prepare(file: Path) -> None:
    """Build the engine of a file, unless this machine has it already, and import what opening it needs.

    Raises:
        ExportError: TensorRT refuses the file.
    """
    engine_of(file)
    importlib.import_module("tensorrt")


def open_session(file: Path, threads: int) -> TensorRTSession:  # noqa: ARG001 - the GPU has its own
    """Open the engine of a file, which is built first where it is not there.

    Raises:
        ExportError: TensorRT refuses the file, or does not open its engine.
    """
    engine = engine_of(file)
    with refusals("TensorRT does not open the engine", file):
        return TensorRTSession(engine.read_bytes())
