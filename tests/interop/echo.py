"""A service that sends back what it is sent, and remembers what it saw of each call: what tests of single frames call.

A unary call is answered with its message, a stream with each of its messages until the client is done. What the
transport refuses for its size, or for want of memory, ends with RESOURCE_EXHAUSTED and the transport's own text.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

from naiad.frontends.grpc.transport import (
    OK,
    AnyEvent,
    Call,
    Kind,
    Metadata,
    Method,
    Reply,
    Trailers,
    Transport,
    TransportSettings,
)
from naiad.frontends.status import GrpcStatus
from tests.interop.peer import Message, Peer, framed

UNARY = "/test.Echo/Unary"
STREAM = "/test.Echo/Stream"


class Seen(NamedTuple):
    """The first event of a call. remaining: seconds to its deadline."""

    kind: Kind
    path: str
    metadata: Metadata
    remaining: float | None


class Echo:
    """messages: all that arrived, whichever the call."""

    def __init__(self, make: Callable[[TransportSettings], Transport], settings: TransportSettings) -> None:
        self.calls: list[Seen] = []
        self.messages: list[bytes] = []
        self._transport = make(settings)
        methods = (Method(UNARY), Method(STREAM, streaming=True))
        self.port = self._transport.start(methods, self._sink)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.stop(0)

    def _sink(self, events: Sequence[AnyEvent]) -> None:
        for kind, call, message in events:
            if kind is Kind.OPEN or (not call.streaming and kind is not Kind.CANCEL):
                self.calls.append(_seen(kind, call))
            if kind is Kind.MESSAGE:
                self.messages.append(bytes(message))
                trailers = None if call.streaming else OK
                self._transport.send([Reply(call, [message], trailers, credit=int(call.streaming))])
            elif kind is Kind.HALF_CLOSE:
                self._transport.send([Reply(call, None, OK)])
            elif kind in {Kind.TOO_LARGE, Kind.OVERLOADED}:
                refusal = Trailers(GrpcStatus.RESOURCE_EXHAUSTED, bytes(message).decode())
                self._transport.send([Reply(call, None, refusal)])


def _seen(kind: Kind, call: Call) -> Seen:
    remaining = None if call.deadline is None else call.deadline - time.monotonic()
    return Seen(kind, call.method, call.metadata, remaining)


def alive(peer: Peer) -> bool:
    """Whether the connection still serves: one more call is answered, with b"next"."""
    return peer.call(UNARY, framed(b"next")).messages == [Message(0, b"next")]
