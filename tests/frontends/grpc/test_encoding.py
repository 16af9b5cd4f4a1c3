"""Responses: what is written is what protobuf would write, and large tensors are not copied."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naiad.core import strings
from naiad.core.errors import BackendError, Internal, InvalidArgument
from naiad.core.types import Array, DataType, InferResponse, ResponseHead
from naiad.frontends.grpc import encoding
from naiad.frontends.grpc.encoding import LARGE, EncodeCache, encode
from naiad.protocol import grpc_service_pb2 as pb


def head(*datatypes: DataType, model: str = "m") -> ResponseHead:
    return ResponseHead(model, "3", tuple((f"out{i}", datatype) for i, datatype in enumerate(datatypes)))


def objects(*elements: object) -> Array:
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array


def by_protobuf(response: InferResponse) -> bytes:
    """The reference, in the canonical order of fields."""
    message = pb.ModelInferResponse(model_name=response.head.model, model_version=response.head.version, id=response.id)
    for (name, datatype), array in zip(response.head.outputs, response.arrays, strict=True):
        message.outputs.add(name=name, datatype=datatype.value, shape=array.shape)
        raw = strings.encode(array.ravel()) if datatype is DataType.BYTES else array.tobytes()
        message.raw_output_contents.append(raw)
    return message.SerializeToString(deterministic=True)


def joined(response: InferResponse, cache: EncodeCache) -> bytes:
    return b"".join(encode(response, cache))


@st.composite
def arrays(draw: st.DrawFn, datatype: DataType) -> Array:
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=3)))
    if datatype is DataType.BYTES:
        flat = draw(st.lists(st.one_of(st.binary(max_size=3), st.text(max_size=3)), min_size=27, max_size=27))
        return np.resize(objects(*flat), shape)
    array: Array = np.frombuffer(draw(st.binary(min_size=216, max_size=216)), datatype.dtype)
    array = np.resize(array, shape)
    return array.T if draw(st.booleans()) else array


@st.composite
def responses(draw: st.DrawFn) -> InferResponse:
    datatypes = draw(st.lists(st.sampled_from(DataType), max_size=3))
    request_id = draw(
        st.one_of(st.just(""), st.text(st.characters(exclude_categories=["Cs"]), max_size=3), st.just("ü" * 70))
    )
    return InferResponse(head(*datatypes), request_id, tuple(draw(arrays(d)) for d in datatypes))


@settings(deadline=None)
@given(st.lists(responses(), min_size=1, max_size=3))
def test_a_response_is_written_as_protobuf_writes_it_the_first_time_and_again(several: list[InferResponse]) -> None:
    cache = EncodeCache()
    for response in several * 2:
        assert joined(response, cache) == by_protobuf(response)


@pytest.mark.parametrize("size", [LARGE, LARGE + 1, 4 * LARGE])
@pytest.mark.parametrize("count", [1, 2])
def test_size_changes_nothing(size: int, count: int) -> None:
    cache = EncodeCache()
    data = np.arange(size, dtype=np.uint8)
    response = InferResponse(
        head(*[DataType.UINT8] * count, DataType.INT8), "7", (data,) * count + (data[:1].view(np.int8),)
    )
    for _ in range(2):
        assert joined(response, cache) == by_protobuf(response)


@pytest.mark.parametrize("datatype", [d for d in DataType if d is not DataType.BYTES])
def test_large_tensors_are_parts_of_their_own_and_not_copied(datatype: DataType) -> None:
    array: Any = np.zeros((2, LARGE), datatype.dtype)
    response = InferResponse(head(datatype), "", (array,))
    parts = encode(response, EncodeCache())
    assert len(parts) == 2
    array[:] = 1
    assert bytes(parts[1]) == array.tobytes()
    assert b"".join(parts) == by_protobuf(response)


def test_large_tensors_that_are_not_contiguous_are_written_in_their_logical_order() -> None:
    array = np.arange(2 * LARGE, dtype=np.int32).reshape(2, LARGE).T
    response = InferResponse(head(DataType.INT32), "", (array,))
    assert joined(response, EncodeCache()) == by_protobuf(response)


def test_small_responses_are_one_part() -> None:
    array = np.zeros((1, 16), np.float32)
    cache = EncodeCache()
    for response in (
        InferResponse(head(DataType.FP32), "1", (array,)),
        InferResponse(head(DataType.FP32, DataType.FP32), "", (array, array)),
    ):
        assert len(encode(response, cache)) == 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_is_learnt_belongs_to_its_head_and_shape(count: int) -> None:
    cache = EncodeCache()
    for model in ("one", "%d of 100%", "one"):
        for rows in (1, 2):
            arrays = (np.ones((rows, 2), np.float32),) * count
            response = InferResponse(head(*[DataType.FP32] * count, model=model), "%b", arrays)
            assert joined(response, cache) == by_protobuf(response)


def test_an_array_of_the_wrong_size_for_its_datatype_is_our_error_by_name() -> None:
    cache, answer = EncodeCache(), head(DataType.FP32)
    encode(InferResponse(answer, "", (np.zeros((1, 4), np.float32),)), cache)
    text = r"output 'out0' of model 'm' has 32 bytes for datatype FP32 and shape \[1, 4\], expected 16"
    with pytest.raises(Internal, match=text):
        encode(InferResponse(answer, "", (np.zeros((1, 4), np.float64),)), cache)


def test_a_bytes_output_with_something_else_than_strings_is_the_backends_error() -> None:
    with pytest.raises(BackendError):
        encode(InferResponse(head(DataType.BYTES), "", (objects(b"a", 3),)), EncodeCache())


def test_a_response_that_no_message_can_hold_is_refused_in_the_protocols_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "LARGEST_RESPONSE", 2 * LARGE)
    response = InferResponse(head(DataType.UINT8), "", (np.zeros(3 * LARGE, np.uint8),))
    with pytest.raises(InvalidArgument, match=r"Response has byte size \d+ which exceeds gRPC's byte size limit"):
        encode(response, EncodeCache())
