"""The values that travel through the server: datatypes, tensors, requests and responses.

All of them are immutable. What is made per request is a NamedTuple (the cheapest immutable value that
CPython has); what is made once and shared by many requests compares by identity, so that it can key a
cache without hashing its content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]
Parameter = bool | int | float | str


class DataType(Enum):
    """A tensor element type of the protocol; the member's value is its name on the wire.

    `dtype` is how numpy holds one element, `itemsize` its bytes on the wire. BYTES has itemsize 0: an
    element is a 4-byte little-endian length and that many bytes. numpy has no BF16: its bits travel as
    uint16.
    """

    dtype: np.dtype[Any]
    itemsize: int

    BOOL = "BOOL", "?"
    UINT8 = "UINT8", "<u1"
    UINT16 = "UINT16", "<u2"
    UINT32 = "UINT32", "<u4"
    UINT64 = "UINT64", "<u8"
    INT8 = "INT8", "<i1"
    INT16 = "INT16", "<i2"
    INT32 = "INT32", "<i4"
    INT64 = "INT64", "<i8"
    FP16 = "FP16", "<f2"
    FP32 = "FP32", "<f4"
    FP64 = "FP64", "<f8"
    BF16 = "BF16", "<u2"
    BYTES = "BYTES", "O"

    def __new__(cls, wire_name: str, dtype: str) -> Self:
        member = object.__new__(cls)
        member._value_ = wire_name
        member.dtype = np.dtype(dtype)
        member.itemsize = 0 if dtype == "O" else member.dtype.itemsize
        return member

    @classmethod
    def of(cls, dtype: np.dtype[Any]) -> DataType | None:
        """The datatype that numpy's `dtype` travels as, or None. uint16 means UINT16, never BF16."""
        return _BY_DTYPE.get(dtype)


_BY_DTYPE = {member.dtype: member for member in DataType if member is not DataType.BF16}


class TensorSpec(NamedTuple):
    """What a request says of one of its inputs: the shape is complete, the batch dimension included."""

    name: str
    datatype: DataType
    shape: Shape


class RequestedOutput(NamedTuple):
    """An output that a request asks for by name."""

    name: str
    parameters: tuple[tuple[str, Parameter], ...] = ()


_NONE: Mapping[str, Parameter] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """All of a request but its id and its tensors' bytes.

    Clients repeat themselves, so a codec hands out the same object for the same content and a version
    remembers by identity which ones it has validated. `outputs` empty means all outputs; `version` None
    means the highest that is ready. `interned` tells that the codec keeps this object and that it is small.
    """

    model: str
    version: int | None
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[RequestedOutput, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=lambda: _NONE)
    interned: bool = False


class InferRequest(NamedTuple):
    """A request for one inference.

    data: one array per `signature.inputs`, in that order, read-only. Fixed-size datatypes: C-contiguous, of
        the spec's shape (its length checked by whoever made it). BYTES: one-dimensional uint8, the elements
        in wire form one after the other, not yet checked.
    deadline: when nobody waits for the answer any more, in seconds of `time.monotonic`.
    received_ns: when the request arrived, in `time.monotonic_ns`.
    nbytes: size of the message, for the budget of bytes in flight.
    reserved: whether these bytes are taken from the budget already, by the transport. Who accepts the request gives
        them back.
    """

    signature: Signature
    id: str
    data: tuple[Array, ...]
    received_ns: int
    nbytes: int
    deadline: float | None = None
    trace_id: str = ""
    reserved: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ResponseHead:
    """What all answers to a signature have in common: who answers, and each output's name and datatype."""

    model: str
    version: str
    outputs: tuple[tuple[str, DataType], ...]


class InferResponse(NamedTuple):
    """An answer: one array per `head.outputs`, C-contiguous or not; BYTES arrays hold `bytes` or `str` objects."""

    head: ResponseHead
    id: str
    arrays: tuple[Array, ...]


class Tensor(NamedTuple):
    """One input of a batch. BYTES: `array` is uint8 in wire form (see `InferRequest`); `shape` counts elements."""

    datatype: DataType
    shape: Shape
    array: Array
