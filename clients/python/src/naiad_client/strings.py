"""BYTES tensors: each element travels as its length, a 4-byte little-endian number, and that many bytes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Any

import numpy as np

from naiad_client.errors import InputError, MalformedResponse

Array = np.ndarray[Any, np.dtype[Any]]

_LENGTH = Struct("<I")


def encode(array: Array, where: str) -> bytes:
    """The elements in row-major order; str as UTF-8. InputError for an element that is neither str nor bytes."""
    if array.dtype.kind not in "OSU":
        raise InputError(f"{where}: expected str or bytes elements, got an array of dtype {array.dtype}")
    return b"".join(_framed(array.ravel().tolist(), where))


def _framed(elements: Iterable[object], where: str) -> Iterator[bytes]:
    for at, element in enumerate(elements):
        data = element.encode() if isinstance(element, str) else element
        if not isinstance(data, bytes):
            raise InputError(f"{where}: expected str or bytes elements, got {type(element).__name__} at {at}")
        yield _LENGTH.pack(len(data))
        yield data


def decode(raw: bytes, where: str) -> list[bytes]:
    """The elements; MalformedResponse where `raw` ends within one."""
    found: list[bytes] = []
    position, size = 0, len(raw)
    while position < size:
        start = position + _LENGTH.size
        end = start + _LENGTH.unpack_from(raw, position)[0] if start <= size else start
        if end > size:
            raise MalformedResponse(f"{where}: BYTES element {len(found)} ends at byte {end}, got {size} bytes")
        found.append(raw[start:end])
        position = end
    return found


def as_array(elements: Iterable[object], shape: tuple[int, ...]) -> Array:
    """An object array; there must be as many elements as the shape says."""
    array = np.empty(shape, dtype=object)
    array.ravel()[:] = list(elements)
    return array
