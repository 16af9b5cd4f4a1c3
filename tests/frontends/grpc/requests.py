"""ModelInferRequests for tests: one made by hand, and any of them as hypothesis strategies."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from hypothesis import strategies as st

from naiad.core.types import DataType
from naiad.protocol import grpc_service_pb2 as pb

Request = pb.ModelInferRequest
NAMES = st.sampled_from(["a", "b", "INPUT0", "größe", "n" * 130])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
SHAPES = st.lists(st.integers(0, 4), max_size=3)
CONTENTS = {
    DataType.BOOL: ("bool_contents", st.booleans()),
    DataType.INT8: ("int_contents", st.integers(-(2**7), 2**7 - 1)),
    DataType.INT16: ("int_contents", st.integers(-(2**15), 2**15 - 1)),
    DataType.INT32: ("int_contents", st.integers(-(2**31), 2**31 - 1)),
    DataType.INT64: ("int64_contents", st.integers(-(2**63), 2**63 - 1)),
    DataType.UINT8: ("uint_contents", st.integers(0, 2**8 - 1)),
    DataType.UINT16: ("uint_contents", st.integers(0, 2**16 - 1)),
    DataType.UINT32: ("uint_contents", st.integers(0, 2**32 - 1)),
    DataType.UINT64: ("uint64_contents", st.integers(0, 2**64 - 1)),
    DataType.FP32: ("fp32_contents", st.floats(width=32, allow_nan=False)),
    DataType.FP64: ("fp64_contents", st.floats(allow_nan=False)),
    DataType.BYTES: ("bytes_contents", st.binary(max_size=5)),
}


def raw_request(
    *tensors: tuple[str, str, Sequence[int], bytes], model: str = "m", request_id: str = "", version: str = ""
) -> Request:
    """A request with raw tensors: name, datatype, shape, data."""
    request = Request(model_name=model, model_version=version, id=request_id)
    for name, datatype, shape, data in tensors:
        request.inputs.add(name=name, datatype=datatype, shape=shape)
        request.raw_input_contents.append(data)
    return request


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Mostly sound requests: of each way to be wrong, some."""
    request = Request(
        model_name=draw(NAMES),
        model_version=draw(st.sampled_from(["", "", "1", "007", "-1", "abc"])),
        id=draw(st.one_of(st.just(""), TEXT, st.just("i" * 200))),
    )
    for name in draw(st.lists(st.sampled_from(["p", "timeout", "sequence_id", "triton_x"]), max_size=2)):
        _set_parameter(draw, request.parameters[name])
    typed = draw(st.booleans())
    for name in draw(st.lists(NAMES, max_size=3, unique=draw(st.integers(0, 9)) > 0)):
        _add_input(draw, request, name, typed)
    for name in draw(st.lists(NAMES, max_size=2)):
        output = request.outputs.add(name=name)
        for key in draw(st.lists(st.sampled_from(["p", "classification", "shared_memory_region"]), max_size=1)):
            _set_parameter(draw, output.parameters[key])
    if draw(st.integers(0, 19)) == 0:
        request.raw_input_contents.append(draw(st.binary(max_size=5)))
    return request


def _add_input(draw: st.DrawFn, request: Request, name: str, typed: bool) -> None:
    shape = draw(SHAPES if draw(st.integers(0, 9)) else st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3))
    datatype = draw(st.sampled_from([*DataType, None]))
    tensor = request.inputs.add(name=name, datatype=datatype.value if datatype else "FP8", shape=shape)
    count = prod(shape) if 0 <= prod(shape) <= 64 else 2
    if draw(st.integers(0, 9)) == 0:
        count += 1
    if typed and datatype in CONTENTS:
        field, values = CONTENTS[datatype]
        getattr(tensor.contents, field).extend(draw(st.lists(values, min_size=count, max_size=count)))
        tensor.contents.SetInParent()
    elif draw(st.integers(0, 9)):
        size = count * datatype.itemsize if datatype else count
        request.raw_input_contents.append(draw(st.binary(min_size=size, max_size=size)))


def _set_parameter(draw: st.DrawFn, parameter: pb.InferParameter) -> None:
    values: dict[str, st.SearchStrategy[Any]] = {
        "bool_param": st.booleans(),
        "int64_param": st.integers(-3, 3),
        "uint64_param": st.integers(0, 3),
        "string_param": TEXT,
        "double_param": st.floats(allow_nan=False),
    }
    choice = draw(st.sampled_from(sorted(values)))
    setattr(parameter, choice, draw(values[choice]))


@st.composite
def encodings(draw: st.DrawFn, request: Request) -> bytes:
    """The same request as other encoders write it: fields in any order, in pieces, with fields that are unknown."""
    pieces = [request.SerializeToString()]
    if draw(st.booleans()):
        pieces = [_only(request, field.name) for field, _ in request.ListFields()]
        pieces = draw(st.permutations(pieces))
    if draw(st.integers(0, 4)) == 0:
        unknown = [b"\x78\x05", b"\x82\x01\x02hi", b"\x6b\x6c", b"\x7d\x00\x00\x00\x00"]
        pieces.insert(draw(st.integers(0, len(pieces))), draw(st.sampled_from(unknown)))
    return b"".join(pieces)


def _only(request: Request, field: str) -> bytes:
    part = Request()
    part.CopyFrom(request)
    for other, _ in request.ListFields():
        if other.name != field:
            part.ClearField(other.name)
    return part.SerializeToString()


@st.composite
def mutated(draw: st.DrawFn, message: bytes) -> bytes:
    """A message after a few bytes of it were changed, lost or added."""
    data = bytearray(message)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 3)):
            case 0 if data:
                data[at % len(data)] = draw(st.integers(0, 255))
            case 1:
                del data[at : at + draw(st.integers(1, 8))]
            case 2:
                data[at:at] = draw(st.binary(max_size=4))
            case _:
                del data[at:]
    return bytes(data)
