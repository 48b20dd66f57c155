"""Reads the blobs of Caffe's `.caffemodel` and `.binaryproto` files.

Both are Protocol Buffers; of their schema (`caffe.proto`) only names and blobs matter here, so the wire
format is read directly: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from islands.errors import NetworkError

Value = int | memoryview

# Field numbers of caffe.proto.
_NET_LAYERS_V1, _NET_LAYERS = 2, 100
_V1_NAME, _V1_BLOBS = 4, 6
_V2_NAME, _V2_BLOBS = 1, 7
_BLOB_LEGACY_SHAPE = (1, 2, 3, 4)
_BLOB_DATA, _BLOB_SHAPE, _BLOB_DOUBLES = 5, 7, 8
_SHAPE_DIMENSIONS = 1


def read_caffemodel(data: bytes, source: str) -> dict[str, list[Tensor]]:
    """Return the float32 blobs of each layer that has any; layers of version 1 and 2 are read.

    Args:
        data: of a `NetParameter`.
        source: for errors.

    Raises:
        NetworkError: the bytes are something else.
    """
    try:
        layers = dict(_layers(memoryview(data)))
    except (ValueError, IndexError, struct.error) as error:
        raise _unreadable(source, "a .caffemodel", error) from None
    if not layers:
        raise _unreadable(source, "a .caffemodel", ValueError("no layer has weights"))
    return layers


def read_binaryproto(data: bytes, source: str) -> Tensor:
    """Return the float32 blob of a `.binaryproto` file, such as a mean image (1, channels, height, width).

    Raises:
        NetworkError: the bytes are something else.
    """
    try:
        blob = _blob(memoryview(data))
    except (ValueError, IndexError, struct.error) as error:
        raise _unreadable(source, "a .binaryproto", error) from None
    return blob


def _unreadable(source: str, kind: str, error: Exception) -> NetworkError:
    return NetworkError(f"{source}: got a file that Caffe did not write ({error}); expected {kind}")


def _layers(net: memoryview) -> Iterator[tuple[str, list[Tensor]]]:
    numbers = {_NET_LAYERS_V1: (_V1_NAME, _V1_BLOBS), _NET_LAYERS: (_V2_NAME, _V2_BLOBS)}
    for number, layer in _messages(net):
        if number in numbers:
            name_number, blob_number = numbers[number]
            fields = list(_messages(layer))
            name = "".join(str(value, "utf-8") for field, value in fields if field == name_number)
            if blobs := [_blob(value) for field, value in fields if field == blob_number]:
                yield name, blobs


def _blob(message: memoryview) -> Tensor:
    legacy = dict.fromkeys(_BLOB_LEGACY_SHAPE, 1)
    shape: list[int] | None = None
    parts: list[np.ndarray] = []
    for number, value in _fields(message):
        if isinstance(value, int):
            if number in legacy:
                legacy[number] = value
        elif number == _BLOB_DATA:
            # Repeated floats may come packed, in several packs, or one by one: all of it is joined.
            parts.append(np.frombuffer(value, "<f4"))
        elif number == _BLOB_DOUBLES:
            parts.append(np.frombuffer(value, "<f8").astype("<f4"))
        elif number == _BLOB_SHAPE:
            shape = _shape(value)
    if not parts:
        raise ValueError("a blob without data")
    numbers = np.concatenate(parts)
    return torch.from_numpy(numbers.copy()).reshape(shape or list(legacy.values()))


def _shape(message: memoryview) -> list[int]:
    shape: list[int] = []
    for number, value in _fields(message):
        if number == _SHAPE_DIMENSIONS:
            shape += [value] if isinstance(value, int) else _varints(value)
    return shape


def _messages(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    for number, value in _fields(message):
        if isinstance(value, memoryview):
            yield number, value


def _fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Return field numbers and values: varints as numbers, everything else as bytes."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield number, value
            continue
        if kind == 2:
            length, position = _varint(message, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of kind {kind}")
        if number == 0 or position + length > len(message):
            raise ValueError("a field that does not end")
        yield number, message[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the number that starts at `position`, and where it ends."""
    result = shift = 0
    while True:
        # A message that is cut short raises IndexError here, which the readers above tell.
        byte = message[position]
        position += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, position
        shift += 7


def _varints(packed: memoryview) -> list[int]:
    values, position = [], 0
    while position < len(packed):
        value, position = _varint(packed, position)
        values.append(value)
    return values
