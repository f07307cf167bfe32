# SPDX-License-Identifier: Apache-2.0
"""Stands for TensorRT and for CUDA's driver, which no machine at hand has: the names and the order of the calls that a session
makes, on memory of the processor. An "engine" is the ONNX file, which ONNX Runtime executes.
"""

import ctypes
import os
from pathlib import Path
from typing import Any

import numpy as np

__version__ = "10.3.0"
NAME = b"Stand-in"


class _Driver:
    """libcuda.so.1; nothing that is queued is done before the stream is waited for."""

    def __init__(self) -> None:
        self._memory: list[Any] = []
        self._queue: list[Any] = []
        self.running = False

    def cuInit(self, flags: int) -> int:  # noqa: N802
        self.running = True
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = 1
        return 0

    def cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: N802
        return 0 if self.running else 3

    def cuDeviceGetName(self, name: Any, longest: int, device: Any) -> int:  # noqa: N802
        name.value = NAME
        return 0

    def cuDevicePrimaryCtxRetain(self, context: Any, device: Any) -> int:  # noqa: N802
        context._obj.value = 7
        return 0

    def cuCtxSetCurrent(self, context: Any) -> int:  # noqa: N802
        return 0 if context.value == 7 else 201

    def cuStreamCreate(self, stream: Any, flags: int) -> int:  # noqa: N802
        stream._obj.value = 11
        return 0

    def cuMemAlloc_v2(self, address: Any, size: Any) -> int:  # noqa: N802
        self._memory.append(ctypes.create_string_buffer(size.value))
        address._obj.value = ctypes.addressof(self._memory[-1])
        return 0

    def cuMemcpyHtoDAsync_v2(self, to: Any, source: Any, size: Any, stream: Any) -> int:  # noqa: N802
        return self.queue(stream.value, lambda: ctypes.memmove(to.value, source.value, size.value))

    def cuMemcpyDtoHAsync_v2(self, to: Any, source: Any, size: Any, stream: Any) -> int:  # noqa: N802
        return self.queue(stream.value, lambda: ctypes.memmove(to.value, source.value, size.value))

    def cuStreamSynchronize(self, stream: Any) -> int:  # noqa: N802
        while self._queue:
            self._queue.pop(0)()
        return 0

    def queue(self, stream: int, work: Any) -> int:
        self._queue.append(work)
        return 0 if stream == 11 else 400


DRIVER, _LOAD = _Driver(), ctypes.CDLL
ctypes.CDLL = lambda name, *rest, **more: DRIVER if name == "libcuda.so.1" else _LOAD(name, *rest, **more)  # type: ignore[assignment, misc]


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING = range(3)


class TensorIOMode:
    INPUT, OUTPUT = range(2)


class NetworkDefinitionCreationFlag:
    STRONGLY_TYPED = 1


class BuilderFlag:
    TF32 = "tf32"


def nptype(dtype: str) -> Any:
    return {"tensor(float)": np.float32}[dtype]


class _Error:
    def desc(self) -> str:
        return "No importer registered for op: Round"


class OnnxParser:
    num_errors = 1

    def __init__(self, network: Any, log: ILogger) -> None:
        self._network = network

    def parse_from_file(self, file: str) -> bool:
        import onnx

        self._network.file = Path(file).read_bytes()
        return all(node.op_type != "Round" for node in onnx.load(file).graph.node)

    def get_error(self, index: int) -> _Error:
        return _Error()


class _Network:
    file = b""


class _Config:
    cleared: tuple[str, ...] = ()

    def clear_flag(self, flag: str) -> None:
        self.cleared = (flag,)


class Builder:
    def __init__(self, log: ILogger) -> None:
        self._log: Any = log

    def create_network(self, flags: int) -> _Network:
        assert flags == 1 << 1
        return _Network()

    def create_builder_config(self) -> _Config:
        return _Config()

    def build_serialized_network(self, network: _Network, config: _Config) -> bytes | None:
        assert config.cleared == ("tf32",)
        with Path(os.environ["BUILDS"]).open("a") as builds:
            builds.write("built\n")
        if b"unbuildable" in network.file:
            self._log.log(ILogger.WARNING, "something else")
            self._log.log(ILogger.ERROR, "Could not find any implementation\n for node X.")
            return None
        return network.file


class Runtime:
    def __init__(self, log: ILogger) -> None:
        pass

    def deserialize_cuda_engine(self, plan: bytes) -> "_Engine":
        return _Engine(plan)


class _Engine:
    num_io_tensors = 2

    def __init__(self, plan: bytes) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(plan)
        self._tensors = [*self._session.get_inputs(), *self._session.get_outputs()]
        self._by_name = {tensor.name: tensor for tensor in self._tensors}

    def create_execution_context(self) -> "_Context":
        return _Context(self)

    def get_tensor_name(self, index: int) -> str:
        return str(self._tensors[index].name)

    def get_tensor_mode(self, name: str) -> int:
        return TensorIOMode.INPUT if name == self._tensors[0].name else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> list[int]:
        return list(self._by_name[name].shape)

    def get_tensor_dtype(self, name: str) -> str:
        return str(self._by_name[name].type)

    def compute(self, addresses: dict[str, int]) -> None:
        given, answer = self._tensors
        values = np.frombuffer(_at(addresses[given.name], given), np.float32).reshape(given.shape)
        _at(addresses[answer.name], answer)[:] = self._session.run(None, {given.name: values})[0].tobytes()


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self._engine, self._addresses = engine, dict[str, int]()

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        return DRIVER.queue(stream, lambda: self._engine.compute(self._addresses)) == 0


def _at(address: int, tensor: Any) -> Any:
    return (ctypes.c_char * (4 * int(np.prod(tensor.shape)))).from_address(address)
