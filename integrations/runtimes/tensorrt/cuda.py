# SPDX-License-Identifier: Apache-2.0
"""The few calls of CUDA's driver that a session needs, by ctypes: the driver is wherever a GPU is, JetPack has no package.

Source of names and arguments: CUDA Driver API (docs.nvidia.com/cuda/cuda-driver-api).
"""

from __future__ import annotations

import ctypes
from typing import Any

from edgewright.errors import DeviceError
from edgewright.onboard.preprocess import Array

_LIBRARY = "libcuda.so.1"
_LONGEST_NAME = 256


def has_gpu() -> bool:
    """Whether there is a driver, and a GPU that it reaches; nothing is started on it."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    count = ctypes.c_int()
    return library.cuInit(0) == 0 and library.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


class Cuda:
    """The first GPU of this machine, with a queue of work; both are there until the process ends."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(_LIBRARY)
        self._call("cuInit", 0)
        device = ctypes.c_int()
        self._call("cuDeviceGet", ctypes.byref(device), 0)
        name = ctypes.create_string_buffer(_LONGEST_NAME)
        self._call("cuDeviceGetName", name, _LONGEST_NAME, device)
        self.name = name.value.decode(errors="replace")
        context = ctypes.c_void_p()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._call("cuCtxSetCurrent", context)
        self._stream = ctypes.c_void_p()
        self._call("cuStreamCreate", ctypes.byref(self._stream), 0)

    @property
    def stream(self) -> int:
        """The queue, as TensorRT takes it."""
        return int(self._stream.value or 0)

    def allocate(self, size: int) -> int:
        """Return the address of ``size`` bytes on the GPU."""
        address = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        return int(address.value)

    def upload(self, values: Array, address: int) -> None:
        """Queue a copy to the GPU of an array whose elements lie one behind the other."""
        self._call("cuMemcpyHtoDAsync_v2", ctypes.c_uint64(address), _pointer(values), _size(values), self._stream)

    def download(self, address: int, values: Array) -> None:
        """Queue a copy from the GPU into an array."""
        self._call("cuMemcpyDtoHAsync_v2", _pointer(values), ctypes.c_uint64(address), _size(values), self._stream)

    def wait(self) -> None:
        """Wait until all that was queued is done."""
        self._call("cuStreamSynchronize", self._stream)

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status != 0:
            raise DeviceError(f"CUDA's driver refused {name} (error {status})", to_do="look at the GPU: nvidia-smi, or dmesg")


def _pointer(values: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(values.ctypes.data)


def _size(values: Array) -> ctypes.c_size_t:
    return ctypes.c_size_t(values.nbytes)
