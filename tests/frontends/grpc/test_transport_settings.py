"""What a transport's settings do to connections, seen from the other end of the wire: raw frames of HTTP/2."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

import grpc
import pytest

from naiad.frontends.grpc.transport import Kind, Transport, TransportSettings
from tests.frontends.grpc.test_transport import Make
from tests.frontends.grpc.wires import PATIENCE, TRANSPORTS, Wire, begin

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, PING, GOAWAY = 4, 6, 7
ACK = 1
PINGS = 8


@pytest.fixture(params=sorted(TRANSPORTS))
def make(request: pytest.FixtureRequest) -> Make:
    return TRANSPORTS[request.param]


class Raw:
    """A connection on which a test speaks HTTP/2 by hand."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._socket.sendall(PREFACE)
        self._send(SETTINGS, b"")

    def ping(self) -> None:
        self._send(PING, bytes(8))

    def frames(self) -> Iterator[tuple[int, int]]:
        """The kinds and flags of what comes, until the server closes. Settings are acknowledged."""
        with self._socket.makefile("rb") as stream, suppress(ConnectionError):
            while len(head := stream.read(9)) == 9:
                length, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
                stream.read(length)
                if kind == SETTINGS and not flags & ACK:
                    self._send(SETTINGS, b"", ACK)
                yield kind, flags & ACK

    def close(self) -> None:
        self._socket.close()

    def _send(self, kind: int, payload: bytes, flags: int = 0) -> None:
        with suppress(ConnectionError):  # the server may have closed it meanwhile, which the next read shows
            self._socket.sendall(len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, 0) + payload)


def answered_pings(make: Make, settings: TransportSettings) -> int:
    """Ping PINGS times, each time after the answer to the last; return how many were answered before a good-bye."""
    with Wire(make, settings) as wire:
        raw = Raw(wire.port)
        answered = 0
        raw.ping()
        for frame in raw.frames():
            if frame == (PING, ACK):
                answered += 1
                raw.ping()
            if frame[0] == GOAWAY or answered == PINGS:
                break
        raw.close()
        return answered


def test_a_client_that_pings_too_often_is_sent_away(make: Make) -> None:
    assert answered_pings(make, TransportSettings(port=0)) < PINGS


def test_any_number_of_pings_may_be_allowed(make: Make) -> None:
    assert answered_pings(make, TransportSettings(port=0, max_ping_strikes=0)) == PINGS


@pytest.mark.parametrize(("interval", "allowed"), [(0.0, True), (300.0, False)])
def test_how_often_a_client_may_ping_is_set(make: Make, interval: float, allowed: bool) -> None:
    settings = TransportSettings(port=0, keepalive_without_calls=True, least_ping_interval=interval)
    assert (answered_pings(make, settings) == PINGS) is allowed


def test_a_silent_connection_without_calls_is_pinged_where_that_is_asked_for_and_closed(make: Make) -> None:
    settings = TransportSettings(port=0, keepalive_time=0.1, keepalive_timeout=0.1, keepalive_without_calls=True)
    with Wire(make, settings) as wire:
        raw = Raw(wire.port)
        assert (PING, 0) in list(raw.frames())
        raw.close()


def test_a_port_may_be_shared_and_is_not_without_a_word(make: Make) -> None:
    first = make(TransportSettings(port=0, reuse_port=True))
    port = started(first)
    second = make(TransportSettings(port=port, reuse_port=True))
    alone = make(TransportSettings(port=port))
    assert started(second) == port
    with pytest.raises(OSError, match=str(port)):
        started(alone)
    for transport in (first, second):
        transport.stop(0)


def started(transport: Transport) -> int:
    return transport.start((), lambda _: None)


@pytest.mark.parametrize(("level", "small"), [(0, False), (1, True), (3, True)])
def test_replies_are_compressed_for_clients_that_can_take_it(make: Make, level: int, small: bool) -> None:
    size = 2**20
    with (
        Wire(make, TransportSettings(port=0, compression=level)) as wire,
        Counter(wire.port) as counter,
        grpc.insecure_channel(f"127.0.0.1:{counter.port}") as channel,
    ):
        answer = begin(channel, b"question")
        wire.reply(wire.next(Kind.MESSAGE), bytes(size))
        assert answer.result(PATIENCE) == bytes(size)
    assert counter.received
    assert (counter.received < size / 10) is small


class Counter:
    """Passes one connection on to a port, and counts the bytes that come back."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._onward = port
        self.received = 0
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(PATIENCE)
        self._listener.close()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client, socket.create_connection(("127.0.0.1", self._onward)) as server:
            forth = threading.Thread(target=self._pass, args=(client, server))
            forth.start()
            self.received = self._pass(server, client)
            forth.join(PATIENCE)

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket) -> int:
        count = 0
        try:
            while chunk := source.recv(2**16):
                count += len(chunk)
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return count
        return count


def test_the_calls_of_a_connection_outlive_its_age_only_for_the_grace(make: Make) -> None:
    settings = TransportSettings(port=0, max_connection_age=0.1, max_connection_age_grace=0.1)
    with Wire(make, settings) as wire:
        answer = wire.call(b"question")
        wire.next(Kind.MESSAGE)
        error = answer.exception(PATIENCE)
        assert isinstance(error, grpc.RpcError)
        wire.next(Kind.CANCEL)


def test_a_connection_without_an_age_limit_ends_not_by_itself(make: Make) -> None:
    with Wire(make, TransportSettings(port=0, max_connection_age=0.0, max_connection_age_grace=0.001)) as wire:
        peers = set()
        for _ in range(20):
            answer = wire.call(b"question")
            event = wire.next(Kind.MESSAGE)
            peers.add(event.call.peer)
            wire.reply(event, b"answer")
            assert answer.result(PATIENCE) == b"answer"
        assert len(peers) == 1


def test_a_connection_without_calls_is_closed(make: Make) -> None:
    with Wire(make, TransportSettings(port=0, max_connection_idle=0.1)) as wire:
        raw = Raw(wire.port)
        assert GOAWAY in [kind for kind, _ in raw.frames()]
        raw.close()


def test_a_connection_that_says_nothing_is_closed(make: Make) -> None:
    settings = TransportSettings(port=0, handshake_timeout=0.2)
    with Wire(make, settings) as wire, socket.create_connection(("127.0.0.1", wire.port), PATIENCE) as silent:
        while silent.recv(2**10):
            pass  # its own settings, which a server may send unasked


def test_of_more_calls_than_a_connection_may_have_the_others_wait(make: Make) -> None:
    with Wire(make, TransportSettings(port=0, max_concurrent_streams=2)) as wire:
        first = wire.call(b"q")
        wire.reply(wire.next(Kind.MESSAGE), b"a")
        assert first.result(PATIENCE) == b"a"  # from here on the client knows the limit
        answers = [wire.call(b"q") for _ in range(3)]
        events = [wire.next(Kind.MESSAGE) for _ in range(2)]
        assert wire.quiet()
        for event in events:
            wire.reply(event, b"a")
        wire.reply(wire.next(Kind.MESSAGE), b"a")
        assert [answer.result(PATIENCE) for answer in answers] == [b"a"] * 3
