"""Who does not read is waited for: neither side's slowness costs the other memory, or other calls their way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from naiad.frontends.grpc.transport import HIGH_WATER, OK, Event, Kind, Reply, TransportSettings
from tests.frontends.grpc.wires import STREAM, UNARY, WINDOW, Wire
from tests.interop.conftest import Make
from tests.interop.memory import Peak
from tests.interop.peer import Message, Peer, framed

MB = 2**20
MESSAGE = b"x" * (64 * 1024)
LET_IN = {"aio": 256 * MB, "native": 16 * MB}
"""What a server that does not read may let in, for all its buffers. grpc's core makes its windows as wide as it finds
the connection fast, which a busy machine may mislead it about."""


@pytest.fixture
def wire(make: Make) -> Iterator[Wire]:
    """One that is asked often whether it has read what was sent."""
    with Wire(make, TransportSettings(port=0, max_ping_strikes=0)) as wire:
        yield wire


@pytest.fixture
def reader(wire: Wire) -> Iterator[Peer]:
    with Peer(wire.port) as peer:
        yield peer


def answered(peer: Peer, wire: Wire, size: int = 2 * MB) -> bool:
    """Whether a call on the same connection gets a large message there and back."""
    stream = peer.begin(UNARY)
    peer.send(stream, framed(bytes(size)), end=True)
    event = wire.next(Kind.MESSAGE)
    wire.reply(event, bytes(event.message))
    return peer.answer(stream).messages == [Message(0, bytes(size))]


# A client that does not read.


def flood(wire: Wire, opened: Event) -> int:
    """Send messages of a megabyte to a stream for as long as it takes them; how many."""
    sent = 0
    while opened.call.writable:
        wire.reply(opened, sent.to_bytes(8, "big") + b"x" * (MB - 8))
        sent += 1
        assert sent < 1000, "a reader that does not read never stopped the writer"
    return sent


def test_a_client_that_does_not_read_bounds_what_is_kept_for_it(wire: Wire, reader: Peer) -> None:
    stream = reader.begin(STREAM)
    reader.unread.add(stream)
    opened = wire.next(Kind.OPEN)
    with Peak() as peak:
        sent = flood(wire, opened)
        reader.settle()
    assert sent >= HIGH_WATER
    assert peak.growth < 4 * HIGH_WATER * MB
    reader.read_on(stream)
    reader.received(stream, sent * len(framed(bytes(MB))))
    assert wire.next(Kind.WRITABLE).call is opened.call
    wire.end(opened)
    messages = reader.answer(stream).messages
    assert [int.from_bytes(message.data[:8], "big") for message in messages] == list(range(sent))


def test_a_stream_that_is_not_read_stands_in_nobody_else_s_way(wire: Wire, reader: Peer) -> None:
    streams = [reader.begin(STREAM) for _ in range(4)]
    reader.unread.update(streams)
    for _ in streams:
        flood(wire, wire.next(Kind.OPEN))
    assert answered(reader, wire)
    for stream in streams:
        reader.reset(stream)
    assert {wire.cancelled().kind for _ in streams} == {Kind.CANCEL}


def test_a_client_that_takes_nothing_at_all_can_still_be_told_an_error(wire: Wire) -> None:
    with Peer(wire.port, window=0) as peer:
        stream = peer.begin(STREAM)
        peer.unread.add(stream)
        opened = wire.next(Kind.OPEN)
        wire.reply(opened, b"one")
        peer.settle()
        assert peer.received(stream, 0) == b""
        peer.http.increment_flow_control_window(100, stream)
        peer.flush()
        assert peer.received(stream, 8) == framed(b"one")
        wire.end(opened)
        assert peer.answer(stream).status == 0


# A service that does not read.


def stuff(peer: Peer, stream: int, most: int = 8 * MB) -> int:
    """Send messages until the server lets no more in, or `most` bytes and a little; how many bytes."""
    sent, body = 0, framed(MESSAGE)
    while sent < most:
        for _ in range(3):  # room may come a little after the answer to a ping
            if peer.room(stream):
                break
            peer.settle()
        else:
            return sent
        at = sent % len(body)
        piece = body[at : at + peer.room(stream)]
        peer.http.send_data(stream, piece)
        peer.flush()
        sent += len(piece)
    return sent


def test_a_service_that_does_not_read_stops_its_client_and_lets_it_go_on(
    wire: Wire, reader: Peer, transport: str
) -> None:
    stream = reader.begin(STREAM)
    opened = wire.next(Kind.OPEN)
    with Peak() as peak:
        sent = stuff(reader, stream, LET_IN[transport])
    assert sent < LET_IN[transport], "a service that does not read never stopped its client"
    assert peak.growth < 2 * LET_IN[transport]
    for _ in range(WINDOW):
        assert wire.next(Kind.MESSAGE).message == MESSAGE
    assert wire.quiet()
    for taken in range(WINDOW, sent // len(framed(MESSAGE))):
        wire.transport.send([Reply(opened.call, None, credit=1)])
        assert wire.next(Kind.MESSAGE).message == MESSAGE, taken
    reader.await_room(stream)
    reader.reset(stream)
    assert wire.cancelled().call is opened.call


@pytest.mark.parametrize("count", [1, 16])
def test_streams_whose_service_does_not_read_stand_in_nobody_else_s_way(wire: Wire, count: int) -> None:
    with Peer(wire.port) as peer:
        streams = [peer.begin(STREAM) for _ in range(count)]
        opened = [wire.next(Kind.OPEN) for _ in streams]
        for stream in streams:
            stuff(peer, stream)
            for _ in range(WINDOW):
                wire.next(Kind.MESSAGE)
        assert answered(peer, wire)
        for event in opened:
            wire.transport.send([Reply(event.call, [b"enough"], OK)])
        assert all(peer.answer(stream).messages == [Message(0, b"enough")] for stream in streams)
        assert answered(peer, wire)


def test_a_client_that_goes_away_from_a_service_that_does_not_read_is_noticed(wire: Wire) -> None:
    with Peer(wire.port) as peer:
        stream = peer.begin(STREAM)
        opened = wire.next(Kind.OPEN)
        stuff(peer, stream)
        for _ in range(WINDOW):
            wire.next(Kind.MESSAGE)
    assert wire.cancelled().call is opened.call


def test_a_message_longer_than_every_window_passes(make: Make) -> None:
    size = 20 * MB
    with Wire(make, TransportSettings(port=0)) as wire, Peer(wire.port, window=2**16) as peer:
        assert answered(peer, wire, size)
