"""Transports under test: a started one whose events a test takes and answers by hand, and a client on it.

Every transport of the house stands in TRANSPORTS and passes the same suite. Clients pass bytes as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

import grpc
import pytest

from naiad.frontends.grpc.aio import AioTransport
from naiad.frontends.grpc.transport import (
    OK,
    AnyEvent,
    Event,
    Kind,
    Method,
    Reply,
    Trailers,
    Transport,
    TransportSettings,
)


def _native(settings: TransportSettings) -> Transport:
    pytest.importorskip("naiad._native", reason="naiad._native is not built")
    from tests.frontends.grpc.driven import Driven

    return Driven(settings)


TRANSPORTS: dict[str, Callable[[TransportSettings], Transport]] = {"aio": AioTransport, "native": _native}

PATIENCE = 20.0
"""Seconds after which a wait for something that must happen counts as a hang."""
UNARY = "/test.Service/Unary"
STREAM = "/test.Service/Stream"
WINDOW = 3
METHODS = (Method(UNARY), Method(STREAM, streaming=True, window=WINDOW))
UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class Wire:
    """A started transport and one client. Events wait in a queue until the test takes them."""

    def __init__(self, make: Callable[[TransportSettings], Transport], settings: TransportSettings) -> None:
        self.transport = make(settings)
        self.events: SimpleQueue[Event] = SimpleQueue()
        self.port = self.transport.start(METHODS, self._sink)
        self.channel = self.connect()

    def _sink(self, events: Sequence[AnyEvent]) -> None:
        assert events
        for event in events:
            self.events.put(Event(*event))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.channel.close()
        self.transport.stop(0)

    def connect(self) -> grpc.Channel:
        return grpc.insecure_channel(f"127.0.0.1:{self.port}", options=UNLIMITED)

    # The server's side.

    def next(self, kind: Kind) -> Event:
        """The next event, which must be of this kind."""
        event = self.events.get(timeout=PATIENCE)
        assert event.kind is kind, event
        return event

    def cancelled(self) -> Event:
        """The next event, which must be a CANCEL; a HALF_CLOSE may stand before it."""
        event = self.events.get(timeout=PATIENCE)
        return self.next(Kind.CANCEL) if event.kind is Kind.HALF_CLOSE else event

    def quiet(self, seconds: float = 0.1) -> bool:
        """Whether nothing arrives for a while; only ever a second opinion."""
        try:
            self.events.get(timeout=seconds)
        except Empty:
            return True
        return False

    def reply(self, event: Event, *parts: bytes, credit: int = 0) -> None:
        """Answer: finally to a unary call, with one more message to a stream."""
        trailers = None if event.call.streaming else OK
        self.transport.send([Reply(event.call, parts, trailers, credit)])

    def end(self, event: Event, trailers: Trailers = OK, credit: int = 0) -> None:
        self.transport.send([Reply(event.call, None, trailers, credit)])

    # The client's side.

    def call(self, message: bytes, **options: Any) -> Future:
        """Start a unary call."""
        return begin(self.channel, message, **options)

    def open(self) -> ClientStream:
        """Start a streaming call."""
        return ClientStream(self.channel)


Future = Any
"""grpc's future of a unary call, which is a Call as well; its stubs do not say so."""


def begin(channel: Any, message: bytes, method: str = UNARY, **options: Any) -> Future:
    """Start a unary call on a channel."""
    return channel.unary_unary(method).future(message, **options)


class ClientStream:
    """A stream whose requests a test sends one by one."""

    def __init__(self, channel: Any) -> None:
        self._requests: SimpleQueue[bytes | None] = SimpleQueue()
        self.responses: Any = channel.stream_stream(STREAM)(iter(self._requests.get, None))

    def send(self, *messages: bytes) -> None:
        for message in messages:
            self._requests.put(message)

    def half_close(self) -> None:
        self._requests.put(None)

    def receive(self) -> bytes:
        message: bytes = next(self.responses)
        return message

    def receive_all(self) -> list[bytes]:
        return list(self.responses)

    def cancel(self) -> None:
        self.responses.cancel()
        self.half_close()
