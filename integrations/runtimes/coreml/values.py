# SPDX-License-Identifier: Apache-2.0
"""Constants of an ML program as numpy arrays: written in the program itself, or in a file of weights.

Source: MIL.proto of coremltools, and the storage format of its MILBlob: a header of 64 bytes, then for each array 64
bytes that say what it is and where it lies. Arrays of fewer than 8 bits an element are packed, lowest bits first.
"""

import struct
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.errors import ExportError
from edgewright.integrations.runtimes.coreml.package import inside, protos
from edgewright.runtime import Array

DTYPES: dict[str, type[np.generic]] = {
    "BOOL": np.bool_,
    "FLOAT16": np.float16,
    "FLOAT32": np.float32,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
}
#: types of fewer than 8 bits, and how many they have
_PACKED = {"UINT1": 1, "UINT2": 2, "UINT3": 3, "UINT4": 4, "UINT6": 6, "INT4": 4}
_HEADER = struct.Struct("<IIQQ")
_SENTINEL = 0xDEADBEEF
#: what the storage calls the types that weights have
_STORED = {1: "FLOAT16", 2: "FLOAT32", 3: "UINT8", 4: "INT8", 6: "INT16", 7: "UINT16", 8: "INT4"}
_STORED |= {9: "UINT1", 10: "UINT2", 11: "UINT4", 12: "UINT3", 13: "UINT6", 14: "INT32", 15: "UINT32"}


class Values:
    """Reads constants; each file of weights is read once.

    Args:
        package: the whole .mlpackage; nothing outside it is opened.
        root: the folder in it that '@model_path' stands for.
    """

    def __init__(self, package: Path, root: Path) -> None:
        self._package, self._root = package, root
        self._files: dict[str, bytes] = {}

    def read(self, value: Any) -> Any:
        """Return a MIL Value: an array, a string, or a list of strings.

        Raises:
            ExportError: it lies outside its file, or is not as large or of the type that the program says.
            ValueError: its type is not one of these.
        """
        declared = value.type.tensorType
        dtype = type_name(declared.dataType)
        shape = tuple(dimension.constant.size for dimension in declared.dimensions)
        if value.WhichOneof("value") == "blobFileValue":
            return _array(self._stored(value.blobFileValue, dtype), dtype, shape)
        tensor = value.immediateValue.tensor
        kind = tensor.WhichOneof("value")
        if kind == "strings":
            found = [str(text) for text in tensor.strings.values]
            return found if shape else found[0]
        if kind == "bytes":
            return _array(tensor.bytes.values, dtype, shape)
        if kind is None:
            raise ValueError(f"a constant of type {dtype} has no value")
        return np.array(getattr(tensor, kind).values, DTYPES[dtype]).reshape(shape)

    def _stored(self, place: Any, dtype: str) -> bytes:
        content, start = self._file(place.fileName), int(place.offset)
        if start + _HEADER.size > len(content):
            raise self._damaged(place, f"at {start} it has already ended")
        sentinel, stored, size, offset = _HEADER.unpack_from(content, start)
        if sentinel != _SENTINEL or offset + size > len(content):
            raise self._damaged(place, f"the array at {start} is damaged or cut short")
        if _STORED.get(stored) != dtype:
            raise self._damaged(place, f"the array at {start} is {_STORED.get(stored, stored)}, the program says {dtype}")
        return content[offset : offset + size]

    def _file(self, name: str) -> bytes:
        if name not in self._files:
            file = inside(self._root / name.removeprefix("@model_path/"), self._package)
            self._files[name] = file.read_bytes()
        return self._files[name]

    def _damaged(self, place: Any, what: str) -> ExportError:
        return ExportError(f"file of weights {place.fileName!r}: {what}", where=str(self._package), to_do="export it again")


def type_name(number: int) -> str:
    """Name of a MIL DataType: 'FLOAT16'."""
    return str(protos("MIL_pb2").DataType.Name(number))


def _array(content: bytes, dtype: str, shape: tuple[int, ...]) -> Array:
    """Return bytes as an array of the shape; too few or too many are a ValueError."""
    if dtype not in _PACKED:
        found: Array = np.frombuffer(content, DTYPES[dtype]).reshape(shape)
        return found
    bits, count = _PACKED[dtype], prod(shape)
    if len(content) != -(-count * bits // 8):
        raise ValueError(f"{count} elements of {bits} bits do not fill {len(content)} bytes")
    return unpack(np.frombuffer(content, np.uint8), bits, count, signed=dtype == "INT4").reshape(shape)


def unpack(content: Array, bits: int, count: int, signed: bool = False) -> Array:
    """Return ``count`` integers of ``bits`` bits each, packed lowest bits first; one element an int8 or uint8."""
    each = np.unpackbits(content, bitorder="little")[: count * bits].reshape(count, bits)
    numbers = each @ (1 << np.arange(bits, dtype=np.uint8))
    if not signed:
        return numbers.astype(np.uint8)
    return (numbers.astype(np.int16) - (numbers >= 1 << (bits - 1)) * (1 << bits)).astype(np.int8)
