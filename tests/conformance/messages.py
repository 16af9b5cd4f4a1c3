"""Requests as the wire has them, also those that no client would send.

An input is a `Given`; its data is raw bytes, typed contents, or neither. `raw` of the message holds the raw bytes of
those that have some, in order, unless a test says otherwise.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from tritonclient.grpc import service_pb2

Message = Any
"""A protobuf message of the client's generated classes, which have no types."""

Parameters = Mapping[str, Mapping[str, Any]]
"""Name -> the one field of InferParameter that is set, and its value: {"timeout": {"int64_param": 5}}."""


class Given(NamedTuple):
    name: str
    datatype: str
    shape: Sequence[int]
    raw: bytes | None = None
    contents: Mapping[str, Sequence[Any]] | None = None
    parameters: Parameters | None = None


class Asked(NamedTuple):
    """A requested output."""

    name: str
    parameters: Parameters | None = None


def request(
    model: str,
    *inputs: Given,
    outputs: Sequence[Asked | str] = (),
    version: str = "",
    request_id: str = "",
    parameters: Parameters | None = None,
    extra_raw: Sequence[bytes] = (),
) -> Message:
    message = service_pb2.ModelInferRequest(model_name=model, model_version=version, id=request_id)
    _set(message.parameters, parameters)
    for given in inputs:
        tensor = message.inputs.add(name=given.name, datatype=given.datatype, shape=given.shape)
        _set(tensor.parameters, given.parameters)
        for field, values in (given.contents or {}).items():
            getattr(tensor.contents, field).extend(values)
        if given.raw is not None:
            message.raw_input_contents.append(given.raw)
    message.raw_input_contents.extend(extra_raw)
    for asked in outputs:
        output = Asked(asked) if isinstance(asked, str) else asked
        _set(message.outputs.add(name=output.name).parameters, output.parameters)
    return message


def _set(field: Any, parameters: Parameters | None) -> None:
    for name, value in (parameters or {}).items():
        field[name].CopyFrom(service_pb2.InferParameter(**value))


def int32(values: Sequence[int]) -> bytes:
    return np.array(values, "<i4").tobytes()


def fp32(values: Sequence[float]) -> bytes:
    return np.array(values, "<f4").tobytes()


def strings(*elements: bytes) -> bytes:
    """Return elements in BYTES' wire form: each after its length in four bytes."""
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


COUNT = int32(range(16))
ONES = int32([1] * 16)


def add_sub(rows: int = 1, **others: Any) -> Message:
    """Return a sound request to `simple`: in each row 0 to 15, and ones."""
    inputs = Given("INPUT0", "INT32", [rows, 16], COUNT * rows), Given("INPUT1", "INT32", [rows, 16], ONES * rows)
    return request("simple", *inputs, **others)
