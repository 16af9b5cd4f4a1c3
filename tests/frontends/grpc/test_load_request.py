"""Load requests whose files are not copied."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naiad.core.errors import InvalidArgument
from naiad.frontends.grpc.load_request import LARGE, read
from naiad.frontends.grpc.wire import tag, varint
from naiad.protocol import grpc_service_pb2 as pb

SIZES = st.sampled_from([0, 1, LARGE - 20, LARGE, 3 * LARGE])
PARAMETERS = st.one_of(
    st.builds(lambda size: pb.ModelRepositoryParameter(bytes_param=b"b" * size), SIZES),
    st.builds(lambda size: pb.ModelRepositoryParameter(string_param="s" * size), SIZES),
    st.just(pb.ModelRepositoryParameter(bool_param=True)),
    st.just(pb.ModelRepositoryParameter()),
)
NAMES = st.sampled_from(["file:1/a", "file:2/b", "config", "", "файл"])


def field(number: int, content: bytes) -> bytes:
    return bytes([tag(number)]) + varint(len(content)) + content


def entry(name: bytes, value: bytes) -> bytes:
    return field(3, field(1, name) + field(2, value))


@given(st.lists(st.tuples(NAMES, PARAMETERS), max_size=5), st.booleans())
def test_nothing_is_read_otherwise_than_protobuf_reads_it(
    parameters: list[tuple[str, pb.ModelRepositoryParameter]], view: bool
) -> None:
    received = field(2, b"model") + b"".join(entry(n.encode(), p.SerializeToString()) for n, p in parameters)
    message, large = read(memoryview(received) if view else received)
    for name, content in large.items():
        assert name not in message.parameters
        message.parameters[name].bytes_param = bytes(content)
    assert message == pb.RepositoryModelLoadRequest.FromString(received)


def test_large_files_are_views_of_what_was_received() -> None:
    content = b"x" * LARGE
    received = pb.RepositoryModelLoadRequest(model_name="m")
    received.parameters["file:1/model.onnx"].bytes_param = content
    received.parameters["config"].string_param = "{}"
    sent = received.SerializeToString()
    message, large = read(sent)
    view = large["file:1/model.onnx"]
    assert isinstance(view, memoryview)
    assert view.obj is sent
    assert view == content
    assert message.parameters["config"].string_param == "{}"
    assert list(message.parameters) == ["config"]


LARGE_VALUE = field(4, b"x" * LARGE)


@pytest.mark.parametrize(
    "received",
    [
        entry(b"\xff", LARGE_VALUE),
        b"\x1a\xff\xff\xff\xff\x0f" + b"x" * LARGE,
        entry(b"file:1/a", LARGE_VALUE[:-1]),
        b"\0" * LARGE,
    ],
)
def test_what_is_no_message_is_refused(received: bytes) -> None:
    with pytest.raises(InvalidArgument, match="failed to parse the message as a RepositoryModelLoadRequest"):
        read(received)


@pytest.mark.parametrize(
    "received",
    [
        entry(b"file:1/a", LARGE_VALUE + field(4, b"last")),
        entry(b"file:1/a", LARGE_VALUE + b"\x08\x01"),
        field(3, field(1, b"file:1/a") + field(1, b"file:1/b") + field(2, LARGE_VALUE)),
        field(3, field(2, LARGE_VALUE)),
        entry(b"file:1/a", LARGE_VALUE) + entry(b"file:1/a", field(4, b"last")),
        entry(b"file:1/a", field(4, b"first")) + entry(b"file:1/a", LARGE_VALUE),
    ],
)
def test_what_no_usual_encoder_writes_is_left_to_protobuf(received: bytes) -> None:
    message, large = read(received)
    for name, content in large.items():
        message.parameters[name].bytes_param = bytes(content)
    assert message == pb.RepositoryModelLoadRequest.FromString(received)
