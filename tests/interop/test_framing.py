"""How messages lie in DATA frames: in any pieces, whole or not, as many as a method takes."""

from __future__ import annotations

import pytest

from naiad.frontends.status import GrpcStatus
from tests.interop.conftest import LIMIT, beyond_aio
from tests.interop.echo import STREAM, UNARY, Echo, alive
from tests.interop.peer import Answer, Message, Peer, framed

HALVES = {
    "of the prefix": framed(b"hello")[:3],
    "of the message": framed(b"hello")[:7],
    "only the prefix": framed(b"hello")[:5],
}


@pytest.mark.parametrize("pieces", [1, 2, 3, 12])
def test_a_message_may_come_in_any_pieces(peer: Peer, echo: Echo, pieces: int) -> None:
    body = framed(b"hello you")
    stream = peer.begin(UNARY)
    for at in range(0, len(body), pieces):
        peer.send(stream, body[at : at + pieces])
    peer.send(stream, b"", end=True)
    answer = peer.answer(stream)
    assert (answer.status, answer.messages) == (GrpcStatus.OK, [Message(0, b"hello you")])
    assert echo.messages == [b"hello you"]


def test_messages_of_a_stream_may_share_frames_and_lie_across_them(peer: Peer) -> None:
    messages = [b"one", b"", b"three" * 10000, b"4"]
    body = b"".join(map(framed, messages))
    stream = peer.begin(STREAM)
    for at in range(0, len(body), 999):
        peer.send(stream, body[at : at + 999])
    peer.send(stream, b"", end=True)
    answer = peer.answer(stream)
    assert answer.status == GrpcStatus.OK
    assert [message.data for message in answer.messages] == messages


@pytest.mark.parametrize("padding", [None, 100], ids=["bare", "padded"])
def test_frames_may_be_empty_and_padded(peer: Peer, transport: str, padding: int | None) -> None:
    if padding is not None:
        beyond_aio(transport, "grpc's core knows no padding")
    stream = peer.begin(UNARY)
    body = framed(b"hello")
    for part in (b"", body[:4], b"", body[4:]):
        peer.http.send_data(stream, part, pad_length=padding)
    peer.http.end_stream(stream)
    peer.flush()
    assert peer.answer(stream).messages == [Message(0, b"hello")]


def test_a_message_of_a_unary_method_may_end_the_stream_in_its_frame(peer: Peer) -> None:
    stream = peer.begin(UNARY)
    peer.http.send_data(stream, framed(b"hello"), end_stream=True)
    peer.flush()
    assert peer.answer(stream).messages == [Message(0, b"hello")]


def test_a_unary_method_takes_one_message_and_no_second(peer: Peer, echo: Echo) -> None:
    answer = peer.call(UNARY, framed(b"first") + framed(b"second"))
    assert b"second" not in echo.messages
    assert answer.messages == [Message(0, b"first")] or answer.refused
    assert alive(peer)


def test_a_unary_method_without_a_message_is_refused(peer: Peer, echo: Echo, transport: str) -> None:
    beyond_aio(transport, "grpc's core leaves a call without a message open until its client gives up")
    for stream in (peer.begin(UNARY, end=True), peer.begin(UNARY)):
        if stream == 3:
            peer.send(stream, b"", end=True)
        assert refused(peer.answer(stream))
    assert alive(peer)
    assert echo.messages == [b"next"]


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_half_a_message_at_the_end_is_refused(peer: Peer, echo: Echo, transport: str, half: bytes) -> None:
    beyond_aio(transport, "grpc's core leaves a call with half a message open until its client gives up")
    assert refused(peer.call(UNARY, half))
    assert alive(peer)
    assert echo.messages == [b"next"]


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_half_a_message_is_no_end_of_a_stream(peer: Peer, echo: Echo, transport: str, half: bytes) -> None:
    beyond_aio(transport, "grpc's core takes half a message for the end of the stream")
    assert peer.call(STREAM, framed(b"whole") + half).refused
    assert alive(peer)
    assert echo.messages == [b"whole", b"next"]


def refused(answer: Answer) -> bool:
    return answer.refused and answer.body == b""


def test_a_flag_that_nobody_knows_is_refused(peer: Peer, echo: Echo, transport: str) -> None:
    beyond_aio(transport, "grpc's core takes a message with an unknown flag for an empty one")
    assert refused(peer.call(UNARY, framed(b"hello", flag=2)))
    assert alive(peer)
    assert echo.messages == [b"next"]


@pytest.mark.parametrize("length", [64 * LIMIT, 2**32 - 1])
def test_a_prefix_that_promises_too_much_is_refused_before_the_rest_comes(peer: Peer, echo: Echo, length: int) -> None:
    stream = peer.begin(UNARY)
    peer.send(stream, framed(b"and so on", length=length))
    answer = peer.answer(stream)
    assert answer.status == GrpcStatus.RESOURCE_EXHAUSTED
    assert alive(peer)
    assert echo.messages == [b"next"]


@pytest.mark.parametrize("path", [UNARY, STREAM])
def test_a_call_that_is_reset_within_a_message_never_was(peer: Peer, echo: Echo, path: str) -> None:
    stream = peer.begin(path)
    peer.send(stream, framed(bytes(1000))[:500])
    peer.settle()
    peer.reset(stream)
    assert alive(peer)
    assert echo.messages == [b"next"]
