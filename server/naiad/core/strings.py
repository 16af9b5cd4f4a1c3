"""BYTES tensors between their wire form and objects. Pure.

The wire form of an element is its length as a 4-byte little-endian number and that many bytes; a tensor is its
elements one after the other. The texts of what can be wrong are the protocol's: clients match on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct

import numpy as np

from naiad.core.errors import BackendError, InvalidArgument
from naiad.core.types import Array

_LENGTH = Struct("<I")
_read_length = _LENGTH.unpack_from
_pack_length = _LENGTH.pack


def fault(raw: Array, count: int, name: str, model: str) -> str | None:
    """What is wrong with `raw` as `count` elements of input `name` of `model`, or None. One-dimensional uint8."""
    data, size, position, found = raw.data, raw.nbytes, 0, 0
    while position < size:
        if found == count:
            return (
                f"unexpected number of string elements {found + 1} for inference input '{name}' for model '{model}', "
                f"expecting {count}"
            )
        if size - position < 4:
            return (
                f"incomplete string length indicator for inference input '{name}' for model '{model}', expecting 4 "
                f"bytes but only {size - position} bytes available. Please make sure the string length indicator is "
                "in one buffer."
            )
        (length,) = _read_length(data, position)
        position += 4
        if size - position < length:
            return (
                f"incomplete string data for inference input '{name}', expecting string of length {length} but only "
                f"{size - position} bytes available"
            )
        position += length
        found += 1
    if found == count:
        return None
    return f"expected {count} string elements for inference input '{name}' for model '{model}', got {found}"


def check(raw: Array, count: int, name: str, model: str) -> None:
    """Raise InvalidArgument when `raw` is not `count` elements in wire form."""
    if text := fault(raw, count, name, model):
        raise InvalidArgument(text)


def decode(raw: Array) -> Array:
    """The elements of a checked `raw` as an object array of `bytes`, one-dimensional."""
    elements = list(_elements(raw.tobytes()))
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array


def _elements(data: bytes) -> Iterable[bytes]:
    position, size = 0, len(data)
    while position < size:
        start = position + 4
        position = start + int.from_bytes(data[position:start], "little")
        yield data[start:position]


def split(raw: Array, counts: Sequence[int]) -> list[Array]:
    """Views of a checked `raw`: the first has counts[0] elements, the next counts[1], and so on."""
    data, views, start = raw.data, [], 0
    for count in counts:
        end = start
        for _ in range(count):
            end += 4 + _read_length(data, end)[0]
        views.append(raw[start:end])
        start = end
    return views


def encode(elements: Iterable[object]) -> bytes:
    """The wire form of `bytes` and `str` objects (str as UTF-8); BackendError for an object that is neither."""
    data = [element if type(element) is bytes else _as_bytes(element) for element in elements]
    return b"".join([part for each in data for part in (_pack_length(len(each)), each)])


def _as_bytes(element: object) -> bytes:
    if isinstance(element, bytes):
        return element
    if isinstance(element, str):
        return element.encode("utf-8", "surrogatepass")
    raise BackendError(f"a BYTES tensor holds bytes or str, got {type(element).__name__}")
