"""How calls end, frame by frame: where status, text and metadata stand, and how the text is written."""

from __future__ import annotations

import base64
from collections.abc import Callable

import grpc
import pytest

from naiad.frontends.grpc.transport import OK, Kind, Metadata, Reply, Trailers
from naiad.frontends.status import GrpcStatus
from tests.frontends.grpc.wires import PATIENCE, STREAM, UNARY, Wire
from tests.interop.echo import UNARY as ECHO
from tests.interop.peer import Answer, Message, Peer, framed

TEXTS = {
    "": "",
    "plain text, with (most) of ASCII's signs: !\"#$&'*+-./:;<=>?@[\\]^_`{|}~": None,
    "100 %": "100 %25",
    "größe": "gr%C3%B6%C3%9Fe",
    "☺ \U0001f608": "%E2%98%BA %F0%9F%98%88",
    "two\r\nlines\tand \x00\x7f": "two%0D%0Alines%09and %00%7F",
    "%41": "%2541",
}
DETAILS = bytes(range(256))
DETAILS_KEY = "grpc-status-details-bin"

Failed = Callable[[Peer, Wire, Trailers], Answer]


def unary(peer: Peer, wire: Wire, trailers: Trailers) -> Answer:
    stream = peer.begin(UNARY)
    peer.send(stream, framed(b"q"), end=True)
    wire.end(wire.next(Kind.MESSAGE), trailers)
    return peer.answer(stream)


def half_open(peer: Peer, wire: Wire, trailers: Trailers) -> Answer:
    stream = peer.begin(STREAM)
    wire.end(wire.next(Kind.OPEN), trailers)
    return peer.answer(stream)


@pytest.fixture(params=[unary, half_open], ids=["unary", "stream"])
def failed(request: pytest.FixtureRequest) -> Failed:
    """Makes a call that fails before there is any message."""
    failed: Failed = request.param
    return failed


def connected(wire: Wire) -> Peer:
    return Peer(wire.port)


def trailers_only(answer: Answer) -> bool:
    """Whether all that came is one HEADERS frame that ends the stream."""
    return (len(answer.blocks), answer.body, answer.ended) == (1, b"", True)


# Where the status stands.


def test_a_good_answer_is_headers_then_data_then_trailers(peer: Peer) -> None:
    answer = peer.call(ECHO, framed(b"a"))
    headers, trailers = answer.blocks
    assert (headers[":status"], headers["content-type"]) == ("200", "application/grpc")
    assert "grpc-status" not in headers
    assert trailers["grpc-status"] == "0"
    assert not {":status", "content-type"} & trailers.keys()
    assert answer.messages == [Message(0, b"a")]


def test_an_error_without_messages_is_one_frame_of_headers(wire: Wire, failed: Failed) -> None:
    with connected(wire) as peer:
        answer = failed(peer, wire, Trailers(GrpcStatus.NOT_FOUND, "no model", (("x-why", "test"),)))
    assert trailers_only(answer)
    [block] = answer.blocks
    assert (block[":status"], block["content-type"]) == ("200", "application/grpc")
    assert (answer.status, answer.text, block["x-why"]) == (GrpcStatus.NOT_FOUND, "no model", "test")


@pytest.mark.parametrize("path", ["/test.Echo/Nothing", "/nobody/Unary", "/"])
def test_a_method_that_nobody_has_is_refused_in_one_frame(peer: Peer, path: str) -> None:
    answer = peer.call(path, framed(b"q"))
    assert trailers_only(answer)
    assert answer.status == GrpcStatus.UNIMPLEMENTED


def test_calls_are_refused_in_one_frame(wire: Wire) -> None:
    wire.transport.refuse(Trailers(GrpcStatus.UNAVAILABLE, "going away"))
    with connected(wire) as peer:
        for path in (UNARY, STREAM):
            answer = peer.call(path, framed(b"q"))
            assert trailers_only(answer)
            assert (answer.status, answer.text) == (GrpcStatus.UNAVAILABLE, "going away")


def test_an_error_after_messages_stands_behind_them(wire: Wire) -> None:
    with connected(wire) as peer:
        stream = peer.begin(STREAM)
        opened = wire.next(Kind.OPEN)
        wire.reply(opened, b"one")
        wire.end(opened, Trailers(GrpcStatus.ABORTED, "enough"))
        answer = peer.answer(stream)
    assert (len(answer.blocks), answer.messages) == (2, [Message(0, b"one")])
    assert (answer.status, answer.text) == (GrpcStatus.ABORTED, "enough")


def test_a_stream_may_be_good_without_messages(wire: Wire) -> None:
    with connected(wire) as peer:
        stream = peer.begin(STREAM)
        wire.end(wire.next(Kind.OPEN))
        answer = peer.answer(stream)
    assert (answer.status, answer.body) == (GrpcStatus.OK, b"")


def test_after_the_end_of_a_stream_its_client_need_not_send_on(wire: Wire) -> None:
    """RFC 9113, 8.1: a server that has said all asks the client to stop with NO_ERROR, or lets it send."""
    with connected(wire) as peer:
        stream = peer.begin(STREAM)
        wire.end(wire.next(Kind.OPEN), Trailers(GrpcStatus.ABORTED))
        assert peer.answer(stream).status == GrpcStatus.ABORTED
        peer.settle()
        assert peer.answer(stream).reset in {None, 0}


# How texts are written.


@pytest.mark.parametrize(("text", "written"), TEXTS.items(), ids=range(len(TEXTS)))
def test_the_text_of_an_error_is_percent_encoded(wire: Wire, failed: Failed, text: str, written: str | None) -> None:
    with connected(wire) as peer:
        answer = failed(peer, wire, Trailers(GrpcStatus.INTERNAL, text))
    assert answer.blocks[-1].get("grpc-message", "") == (text if written is None else written)
    assert answer.text == text


def test_texts_arrive_whole_at_a_client(wire: Wire) -> None:
    for text in TEXTS:
        answer = wire.call(b"q")
        wire.end(wire.next(Kind.MESSAGE), Trailers(GrpcStatus.INTERNAL, text))
        assert answer.exception(PATIENCE) is not None
        assert answer.details() == text


# What goes with a status.


def decoded(value: str) -> bytes:
    return base64.b64decode(value + "=" * (-len(value) % 4))


def test_details_of_a_status_are_binary(wire: Wire, failed: Failed) -> None:
    with connected(wire) as peer:
        answer = failed(peer, wire, Trailers(GrpcStatus.INVALID_ARGUMENT, "wrong", ((DETAILS_KEY, DETAILS),)))
    assert decoded(answer.blocks[-1][DETAILS_KEY]) == DETAILS
    call = wire.call(b"q")
    wire.end(wire.next(Kind.MESSAGE), Trailers(GrpcStatus.INVALID_ARGUMENT, "wrong", ((DETAILS_KEY, DETAILS),)))
    assert call.exception(PATIENCE) is not None
    assert (call.code(), dict(call.trailing_metadata())[DETAILS_KEY]) == (grpc.StatusCode.INVALID_ARGUMENT, DETAILS)


METADATA: Metadata = (
    ("x-text", "some text, and more"),
    ("x-data-bin", b"\x00\x01\xff"),
    ("x-empty", ""),
    ("x-e-bin", b""),
)


def test_initial_metadata_stand_before_the_messages_and_trailing_behind(wire: Wire) -> None:
    with connected(wire) as peer:
        stream = peer.begin(UNARY)
        peer.send(stream, framed(b"q"), end=True)
        call = wire.next(Kind.MESSAGE).call
        wire.transport.send([Reply(call, [b"a"], OK._replace(metadata=(("x-behind", "2"),)), initial=METADATA)])
        first, last = peer.answer(stream).blocks
    assert (first["x-text"], decoded(first["x-data-bin"])) == ("some text, and more", b"\x00\x01\xff")
    assert (first["x-empty"], first["x-e-bin"]) == ("", "")
    assert last["x-behind"] == "2"
    assert not {"x-text", "x-data-bin"} & last.keys()
    assert "x-behind" not in first


def test_initial_metadata_of_an_error_stand_before_it(wire: Wire) -> None:
    call = wire.call(b"q")
    opened = wire.next(Kind.MESSAGE).call
    wire.transport.send([Reply(opened, None, Trailers(GrpcStatus.ABORTED, "no"), initial=METADATA)])
    assert call.exception(PATIENCE) is not None
    assert (call.code(), call.details()) == (grpc.StatusCode.ABORTED, "no")
    assert set(METADATA) <= {(key, value) for key, value in call.initial_metadata()}


def test_initial_metadata_go_with_the_first_reply_of_a_stream_only(wire: Wire) -> None:
    stream = wire.open()
    call = wire.next(Kind.OPEN).call
    wire.transport.send(
        [Reply(call, [b"1"], initial=(("x-first", "1"),)), Reply(call, [b"2"], initial=(("x-late", "2"),))]
    )
    wire.transport.send([Reply(call, None, OK)])
    assert stream.receive_all() == [b"1", b"2"]
    assert ("x-first", "1") in tuple(stream.responses.initial_metadata())
    everywhere = (*stream.responses.initial_metadata(), *stream.responses.trailing_metadata())
    assert "x-late" not in dict(everywhere)
    stream.half_close()
