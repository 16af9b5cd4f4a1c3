"""ModelInferRequests from bytes to the core: all ways agree, and what was seen before takes the short one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from naiad.core.errors import InvalidArgument, NaiadError, NotFound, Unimplemented
from naiad.core.types import DataType, InferRequest, Signature, TensorSpec
from naiad.frontends.grpc import codec
from naiad.frontends.grpc.codec import SMALL, DecodeCache, decode
from naiad.frontends.grpc.decoding import read
from naiad.frontends.versions import parse_version
from naiad.protocol import grpc_service_pb2 as pb
from tests.frontends.grpc.requests import Request, encodings, mutated, raw_request, requests

FLOATS = np.arange(6, dtype=np.float32)


def plain(**options: str) -> bytes:
    """A request with one FP32 tensor of shape [2, 3]."""
    return raw_request(("x", "FP32", [2, 3], FLOATS.tobytes()), **options).SerializeToString()


def content(request: InferRequest) -> tuple[object, ...]:
    """All that a decoded request says, comparable."""
    s = request.signature
    parameters = [(name, type(value), value) for name, value in sorted(s.parameters.items())]
    arrays = [(a.dtype, a.shape, a.tobytes()) for a in request.data]
    return s.model, s.version, s.inputs, s.outputs, parameters, request.id, arrays, request.nbytes


def outcome(decoding: Callable[[], InferRequest]) -> object:
    """What decoding gives, or what it raises, comparable. An unreadable message is one outcome whatever the text."""
    try:
        return content(decoding())
    except NaiadError as error:
        text = str(error)
        return type(error), "unreadable" if text.startswith("failed to parse the message") else text


def by_protobuf(message: bytes) -> InferRequest:
    """The reference: protobuf parses the whole message."""
    try:
        parsed = pb.ModelInferRequest.FromString(message)
    except DecodeError as error:
        raise InvalidArgument(f"failed to parse the message: {error}") from None
    version = parse_version(parsed.model_version)
    header, data = read(parsed, version, list(parsed.raw_input_contents))
    return InferRequest(header.signature, parsed.id, data, 0, len(message))


def all_ways(message: bytes) -> list[object]:
    """The outcomes of decoding as never seen before, as seen before, from a view, and with a full cache."""
    cache = DecodeCache()
    return [
        outcome(lambda: decode(message, cache, 0)),
        outcome(lambda: decode(message, cache, 0)),
        outcome(lambda: decode(memoryview(bytearray(message)), cache, 0)),
        outcome(lambda: decode(message, DecodeCache(size=1), 0)),
    ]


def refuse_new(*_: object) -> InferRequest:
    raise AssertionError("the message was not recognised")


# All ways agree.


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_every_way_of_decoding_gives_what_protobuf_gives(data: st.DataObject) -> None:
    message = data.draw(requests().flatmap(encodings))
    assert all_ways(message) == [outcome(lambda: by_protobuf(message))] * 4


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_damaged_messages_are_refused_or_read_as_protobuf_reads_them(data: st.DataObject) -> None:
    message = data.draw(requests().flatmap(encodings).flatmap(mutated))
    assert all_ways(message) == [outcome(lambda: by_protobuf(message))] * 4


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_message_like_one_seen_before_is_read_as_protobuf_reads_it(data: st.DataObject) -> None:
    cache = DecodeCache()
    known = data.draw(requests()).SerializeToString()
    outcome(lambda: decode(known, cache, 0))
    alike = data.draw(mutated(known))
    assert outcome(lambda: decode(alike, cache, 0)) == outcome(lambda: by_protobuf(alike))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_equal_content_has_one_signature_whatever_its_encoding(data: st.DataObject) -> None:
    cache = DecodeCache()
    request = data.draw(requests())
    signatures: set[Signature] = set()
    for message in [request.SerializeToString(), *data.draw(st.lists(_reordered(request), max_size=3))]:
        try:
            signatures.add(decode(message, cache, 0).signature)
            signatures.add(decode(message, cache, 0).signature)
        except NaiadError:
            return
    assert len(signatures) == 1


def _reordered(request: pb.ModelInferRequest) -> st.SearchStrategy[bytes]:
    return encodings(request).filter(lambda m: len(m) == len(request.SerializeToString()))  # nothing unknown added


@pytest.mark.parametrize("size", [SMALL - 200, SMALL, SMALL + 1, 4 * SMALL])
def test_size_changes_nothing(size: int) -> None:
    request = raw_request(("x", "UINT8", [size], bytes(size)), ("s", "BYTES", [1], b"\x01\0\0\0a"), request_id="7")
    message = request.SerializeToString()
    assert all_ways(message) == [content(by_protobuf(message))] * 4


# What was seen before.


@pytest.mark.parametrize(
    "inputs",
    [
        [("x", "FP32", [2, 3], FLOATS.tobytes())],
        [("x", "FP32", [2, 3], FLOATS.tobytes()), ("y", "INT8", [2], b"\1\2"), ("z", "BF16", [], b"\1\2")],
        [("x", "FP32", [0, 3], b"")],
    ],
)
@pytest.mark.parametrize("request_id", ["", "1", "größe", "i" * 127])
@pytest.mark.parametrize("version", ["", "3"])
def test_a_request_seen_before_is_not_parsed_again(
    inputs: list[tuple[str, str, list[int], bytes]],
    request_id: str,
    version: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = DecodeCache()
    first = raw_request(*inputs, request_id="first", version=version)
    first.outputs.add(name="out")
    decoded = decode(first.SerializeToString(), cache, 0)
    other = [(n, d, s, bytes(255 - byte for byte in data)) for n, d, s, data in inputs]
    second = raw_request(*other, request_id=request_id, version=version)
    second.outputs.add(name="out")
    message = second.SerializeToString()
    monkeypatch.setattr(codec, "_decode_new", refuse_new)
    again = decode(message, cache, 11, 2.5, "trace")
    assert content(again) == content(by_protobuf(message))
    assert again.signature is decoded.signature
    assert (again.received_ns, again.deadline, again.trace_id) == (11, 2.5, "trace")


@pytest.mark.parametrize("request_id", ["", "größe"])
@pytest.mark.parametrize("size", [0, 1, 123, 20_000])
def test_strings_of_any_length_are_not_parsed_again(
    size: int, request_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = DecodeCache()
    decoded = decode(strings(7, "first").SerializeToString(), cache, 0)
    message = strings(size, request_id).SerializeToString()
    monkeypatch.setattr(codec, "_decode_new", refuse_new)
    again = decode(message, cache, 11, 2.5, "trace")
    assert content(again) == content(by_protobuf(message))
    assert again.signature is decoded.signature


def strings(size: int, request_id: str = "") -> Request:
    data = size.to_bytes(4, "little") + b"a" * size
    return raw_request(("x", "BYTES", [1, 1], data), request_id=request_id)


@pytest.mark.parametrize(
    "change",
    [
        lambda message: message[:-1],
        lambda message: message + b"\x3a\x00",
        lambda message: message.replace(b"\x0a\x01x", b"\x0a\x01y"),
        lambda message: message.replace(b"\x3a", b"\x7a"),
    ],
)
def test_strings_that_are_not_quite_like_those_seen_before_are_read_as_protobuf_reads_them(
    change: Callable[[bytes], bytes],
) -> None:
    cache = DecodeCache()
    message = strings(7).SerializeToString()
    decode(message, cache, 0)
    changed = change(message)
    assert outcome(lambda: decode(changed, cache, 0)) == outcome(lambda: by_protobuf(changed))


def test_requests_that_only_their_header_tells_apart_are_told_apart() -> None:
    cache = DecodeCache()
    messages = [raw_request(("x", "FP32", shape, FLOATS.tobytes())).SerializeToString() for shape in ([2, 3], [3, 2])]
    for message in messages * 3:
        assert content(decode(message, cache, 0)) == content(by_protobuf(message))


def test_requests_that_only_the_tag_of_a_later_tensor_tells_apart_are_told_apart() -> None:
    cache = DecodeCache()
    message = raw_request(("x", "UINT8", [1], b"a"), ("y", "UINT8", [1], b"b")).SerializeToString()
    decode(message, cache, 0)
    assert len(cache) == 1
    other = message.replace(b"\x3a\x01b", b"\x7a\x01b")  # a field that nobody knows in the place of y's data
    with pytest.raises(InvalidArgument, match="unable to find data for input tensor 'y'"):
        decode(other, cache, 0)


def test_a_view_of_a_small_message_takes_the_short_way_too(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = DecodeCache()
    decode(plain(), cache, 0)
    monkeypatch.setattr(codec, "_decode_new", refuse_new)
    assert content(decode(memoryview(plain(request_id="4")), cache, 0))[5] == "4"


@pytest.mark.parametrize(
    "message",
    [
        plain(request_id="i" * 128),
        plain(model="m" * 128),
        raw_request(("x", "BYTES", [1], b"\x01\0\0\0a"), ("y", "INT8", [1], b"a")).SerializeToString(),
        raw_request(("x", "FP32", [2, 3], b"\1\2")).SerializeToString(),
        b"",
        b"\x0a\x01m",
    ],
)
def test_what_varies_or_does_not_fit_is_never_remembered_as_a_layout(message: bytes) -> None:
    cache = DecodeCache()
    decode(message, cache, 0)
    assert (len(cache), len(cache.open)) == (0, 0)


def test_a_header_too_long_to_remember_is_read_each_time() -> None:
    cache = DecodeCache()
    request = raw_request(("x" * 5000, "FP32", [2, 3], FLOATS.tobytes()))
    for _ in range(2):
        assert content(decode(request.SerializeToString(), cache, 0))[0] == "m"
    assert (len(cache), len(cache.headers)) == (0, 0)


def test_caches_stay_small_under_ever_new_signatures() -> None:
    cache = DecodeCache(size=8)
    for i in range(100):
        decode(plain(model=f"model{i}"), cache, 0)
    assert len(cache) <= 16
    assert len(cache.headers) <= 16


def test_ids_that_are_no_utf8_are_refused_before_and_after_learning() -> None:
    cache = DecodeCache()
    for _ in range(2):
        with pytest.raises(InvalidArgument, match="failed to parse the message as a ModelInferRequest"):
            decode(plain(request_id="ab").replace(b"\x1a\x02ab", b"\x1a\x02\xff\xff"), cache, 0)
        decode(plain(request_id="ab"), cache, 0)


# Tensors.


def test_tensors_are_read_only_views_of_the_message() -> None:
    message = bytearray(plain())
    request = decode(memoryview(message), DecodeCache(), 0)
    large = bytearray(raw_request(("x", "UINT8", [2 * SMALL], bytes(2 * SMALL))).SerializeToString())
    [view] = decode(memoryview(large), DecodeCache(), 0).data
    large[-1] = 9
    assert view[-1] == 9
    assert not view.flags.writeable
    assert not request.data[0].flags.writeable
    for typed in (False, True):
        assert not decode(_with_contents(typed), DecodeCache(), 0).data[0].flags.writeable


def _with_contents(typed: bool) -> bytes:
    request = raw_request(("x", "INT32", [2], b"\1\0\0\0\2\0\0\0"))
    if typed:
        del request.raw_input_contents[:]
        request.inputs[0].contents.int_contents.extend([1, 2])
    return request.SerializeToString()


@pytest.mark.parametrize("datatype", DataType)
def test_raw_data_of_the_right_size_has_its_shape_and_dtype(datatype: DataType) -> None:
    size = 6 * datatype.itemsize if datatype.itemsize else 10
    data = bytes(range(size))
    message = raw_request(("x", datatype.value, [2, 3], data)).SerializeToString()
    request = decode(message, DecodeCache(), 0)
    assert request.signature.inputs == (TensorSpec("x", datatype, (2, 3)),)
    [array] = request.data
    assert array.tobytes() == data
    assert array.flags.c_contiguous
    assert (array.dtype, array.shape) == ((np.uint8, (10,)) if datatype is DataType.BYTES else (datatype.dtype, (2, 3)))


@pytest.mark.parametrize(
    ("shape", "size"), [([2, 3], 23), ([2, 3], 25), ([-1], 4), ([2**62, 4], 8), ([2**33, 2**31], 0), ([-2, -3], 24)]
)
def test_data_that_has_not_its_shapes_size_stays_bytes_for_the_core_to_judge(shape: list[int], size: int) -> None:
    [array] = decode(raw_request(("x", "FP32", shape, bytes(size))).SerializeToString(), DecodeCache(), 0).data
    assert (array.dtype, array.shape) == (np.dtype(np.uint8), (size,))


@pytest.mark.parametrize("shape", [[0, 2**62, 2**62], [1] * 65, [0] * 65])
def test_a_shape_that_no_array_can_have_is_refused(shape: list[int]) -> None:
    with pytest.raises(InvalidArgument, match=r"\[request id: <id_unknown>\] input 'x' has a shape that no array"):
        decode(raw_request(("x", "FP32", shape, b"")).SerializeToString(), DecodeCache(), 0)


# Mistakes, and their order.

MISTAKES: dict[str, Callable[[pb.ModelInferRequest], object]] = {
    "version": lambda r: setattr(r, "model_version", "abc"),
    "parameter": lambda r: setattr(r.parameters["timeout"], "string_param", "1"),
    "duplicate": lambda r: r.inputs.add(name="x", datatype="FP32", shape=[1]),
    "data": lambda r: r.raw_input_contents.pop(),
    "classification": lambda r: setattr(r.outputs.add(name="out").parameters["classification"], "int64_param", 1),
}
TEXTS = {
    "version": "failed to get model version from specified version string 'abc'",
    "model": "Request for unknown model: 'm' is not found",
    "parameter": "invalid value type for 'timeout' parameter, expected int64_param.",
    "duplicate": "[request id: 5] input 'x' already exists in request",
    "data": "unable to find data for input tensor 'x' for model 'm' in request.",
    "classification": "the parameter 'classification' of output 'out' is not implemented yet by this server",
}


def unknown(model: str, _: int | None) -> None:
    raise NotFound(f"Request for unknown model: '{model}' is not found")


@pytest.mark.parametrize("first", MISTAKES)
def test_of_several_mistakes_the_first_in_the_protocols_order_is_told(first: str) -> None:
    request = raw_request(("x", "FP32", [1], bytes(4)), request_id="5")
    for mistake in list(MISTAKES)[list(MISTAKES).index(first) :]:
        MISTAKES[mistake](request)
    with pytest.raises((InvalidArgument, Unimplemented)) as caught:
        decode(request.SerializeToString(), DecodeCache(), 0)
    assert str(caught.value).startswith(TEXTS[first])


@pytest.mark.parametrize("mistake", [mistake for mistake in MISTAKES if mistake != "version"])
def test_that_the_model_is_unknown_is_told_before_what_is_wrong_with_the_request(mistake: str) -> None:
    request = raw_request(("x", "FP32", [1], bytes(4)))
    MISTAKES[mistake](request)
    with pytest.raises(NotFound, match="Request for unknown model: 'm' is not found"):
        decode(request.SerializeToString(), DecodeCache(), 0, known=unknown)


def test_that_the_model_is_unknown_is_told_first_also_where_the_header_was_seen_before() -> None:
    cache = DecodeCache()
    request = raw_request(("x", "FP32", [1], bytes(4)))
    decode(request.SerializeToString(), cache, 0)
    del request.raw_input_contents[:]
    with pytest.raises(InvalidArgument, match="unable to find data for input tensor 'x'"):
        decode(request.SerializeToString(), cache, 0)
    with pytest.raises(NotFound):
        decode(request.SerializeToString(), cache, 0, known=unknown)


def test_a_sound_request_is_not_held_against_the_models_there_are() -> None:
    assert decode(plain(), DecodeCache(), 0, known=unknown).signature.model == "m"


def test_a_version_that_cannot_be_read_is_told_before_the_model_is_looked_for() -> None:
    with pytest.raises(InvalidArgument, match="version string 'x'"):
        decode(plain(version="x"), DecodeCache(), 0, known=unknown)


def test_more_tensors_than_inputs_are_refused() -> None:
    request = raw_request(("x", "FP32", [1], bytes(4)))
    request.raw_input_contents.append(b"")
    with pytest.raises(InvalidArgument, match="got 2 raw_input_contents for 1 inputs of model 'm'"):
        decode(request.SerializeToString(), DecodeCache(), 0)


def test_raw_and_typed_contents_do_not_mix() -> None:
    request = raw_request(("x", "FP32", [1], bytes(4)), ("y", "FP32", [1], bytes(4)))
    request.inputs[1].contents.fp32_contents.append(1)
    text = "contents field must not be specified when using raw_input_contents for 'y' for model 'm'"
    with pytest.raises(InvalidArgument, match=text):
        decode(request.SerializeToString(), DecodeCache(), 0)


def test_an_unknown_datatype_is_refused_by_name() -> None:
    with pytest.raises(InvalidArgument, match="inference input 'x' data-type is 'FP8', expected one of BOOL, UINT8"):
        decode(raw_request(("x", "FP8", [1], b"\1")).SerializeToString(), DecodeCache(), 0)


@pytest.mark.parametrize("kind", ["input", "output"])
def test_shared_memory_is_refused_by_name(kind: str) -> None:
    request = raw_request(("x", "FP32", [1], bytes(4)))
    tensor = request.inputs[0] if kind == "input" else request.outputs.add(name="x")
    tensor.parameters["shared_memory_region"].string_param = "r"
    text = f"Client shared memory is disabled.*'shared_memory_region' of {kind} 'x'"
    with pytest.raises(Unimplemented, match=text):
        decode(request.SerializeToString(), DecodeCache(), 0)


def test_requested_outputs_keep_their_order_and_parameters() -> None:
    request = raw_request(("x", "FP32", [1], bytes(4)))
    request.outputs.add(name="b").parameters["p"].int64_param = 3
    request.outputs.add(name="a").parameters["unset"].SetInParent()
    outputs = decode(request.SerializeToString(), DecodeCache(), 0).signature.outputs
    assert [(o.name, o.parameters) for o in outputs] == [("b", (("p", 3),)), ("a", ())]


def test_an_output_asked_for_twice_is_refused() -> None:
    request = raw_request(("x", "FP32", [1], bytes(4)), request_id="9")
    request.outputs.add(name="out")
    request.outputs.add(name="out")
    with pytest.raises(InvalidArgument, match=r"\[request id: 9\] output 'out' already exists in request"):
        decode(request.SerializeToString(), DecodeCache(), 0)
