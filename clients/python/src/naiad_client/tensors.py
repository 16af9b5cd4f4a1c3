"""Arrays and the bytes they travel as: row-major, little-endian. Pure.

What a caller gives is converted to the datatype that the model wants only where that keeps its meaning: bool to
numbers, integers to others that hold every value, anything of these to floating point, whose values are rounded and
must not overflow. Everything else is an InputError: nothing is cut off, wrapped around or taken for true silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from naiad_client import bfloat16, strings
from naiad_client.errors import InputError, MalformedResponse

Array = np.ndarray[Any, np.dtype[Any]]

BYTES, BF16 = "BYTES", "BF16"
DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
"""The datatypes that numpy has, by their names on the wire."""

_KINDS: Final = {"b": "b", "i": "biu", "u": "biu", "f": "biuf"}
"""Which kinds of numpy may become which."""


def as_array(value: ArrayLike, datatype: str, where: str) -> Array:
    """What a caller gives for an input, as an array; InputError where it is none, such as lists of unequal length."""
    if isinstance(value, np.ndarray):
        return value
    try:
        # numpy's own choice for strings would cut off their trailing zeros
        return np.asarray(value, dtype=object if datatype == BYTES else None)
    except ValueError as error:
        raise InputError(f"{where}: expected something that numpy makes an array of: {error}") from error


def encode(array: Array, datatype: str, where: str) -> bytes:
    """The array's elements as `datatype` on the wire; `where` begins the text of an InputError."""
    if datatype == BYTES:
        return strings.encode(array, where)
    if bfloat16.is_bfloat16(array.dtype):
        if datatype == BF16:
            return array.tobytes()
        array = array.astype(np.float32)
    if datatype == BF16:
        return _as_bfloat16(array, where).tobytes()
    if datatype not in DTYPES:
        raise InputError(f"{where}: the model wants {datatype}, expected one of {[*DTYPES, BF16, BYTES]}")
    return converted(array, datatype, where).tobytes()


def _as_bfloat16(array: Array, where: str) -> Array:
    if array.dtype == np.uint16:
        return array.astype(bfloat16.BITS)
    if array.dtype.kind != "f" and array.size:
        raise InputError(f"{where}: expected floats, or uint16 for their bits, to send as BF16, got {array.dtype}")
    try:
        return bfloat16.from_float32(converted(array, "FP32", where))
    except OverflowError as error:
        raise InputError(f"{where}: {error}") from None


def converted(array: Array, datatype: str, where: str) -> Array:
    """The array in numpy's dtype for `datatype`; InputError where that would change what it means."""
    dtype = DTYPES[datatype]
    if array.dtype == dtype or not array.size:
        return array.astype(dtype, copy=False)
    if array.dtype.kind not in _KINDS[dtype.kind]:
        raise InputError(f"{where}: expected {datatype}, got an array of dtype {array.dtype}")
    if dtype.kind in "iu" and not _within(array, dtype):
        raise InputError(f"{where}: expected {datatype}, got values from {array.min()} to {array.max()}")
    try:
        with np.errstate(over="raise"):
            return array.astype(dtype)
    except FloatingPointError:
        raise InputError(f"{where}: a value is beyond the largest {datatype}") from None


def _within(array: Array, dtype: np.dtype[Any]) -> bool:
    if np.can_cast(array.dtype, dtype):
        return True
    limits = np.iinfo(dtype)
    return limits.min <= int(array.min()) and int(array.max()) <= limits.max


def decode(raw: bytes, datatype: str, shape: Sequence[int], where: str) -> Array:
    """The elements of one output: a read-only view of `raw`, and for BYTES an object array of `bytes`."""
    dimensions = tuple(shape)
    if datatype == BYTES:
        return _sized(strings.decode(raw, where), dimensions, where)
    dtype = bfloat16.BITS if datatype == BF16 else DTYPES.get(datatype)
    if dtype is None:
        raise MalformedResponse(f"{where}: expected a datatype of {[*DTYPES, BF16, BYTES]}, got {datatype!r}")
    expected = prod(dimensions) * dtype.itemsize
    if len(raw) != expected:
        raise MalformedResponse(f"{where}: expected {expected} bytes for {datatype} {list(shape)}, got {len(raw)}")
    array = np.frombuffer(raw, dtype).reshape(dimensions)
    return bfloat16.given(array) if datatype == BF16 else array


def from_contents(values: Sequence[Any], datatype: str, shape: Sequence[int], where: str) -> Array:
    """The elements of one output that came as numbers of the message instead of raw bytes."""
    if datatype == BYTES:
        return _sized(list(values), tuple(shape), where)
    try:
        raw = np.array(values, DTYPES[datatype]).tobytes()
    except OverflowError as error:
        raise MalformedResponse(f"{where}: expected {datatype}: {error}") from error
    return decode(raw, datatype, shape, where)


def _sized(elements: list[bytes], shape: tuple[int, ...], where: str) -> Array:
    if len(elements) != prod(shape):
        expected = f"{prod(shape)} elements for BYTES {list(shape)}"
        raise MalformedResponse(f"{where}: expected {expected}, got {len(elements)}")
    return strings.as_array(elements, shape)
