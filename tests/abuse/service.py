"""What is attacked, in this process: a transport whose service answers everything, and a client that expects it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import grpc

from naiad.frontends.grpc import transport
from naiad.frontends.grpc.transport import OK, AnyEvent, Kind, Reply, Trailers, TransportSettings
from naiad.frontends.status import GrpcStatus
from tests.frontends.grpc.test_transport import Make
from tests.frontends.grpc.wires import METHODS, PATIENCE, UNARY

Address = tuple[str, int]
Method = Callable[..., bytes]
"""A unary method of a channel whose messages are bytes, as grpcio gives it."""
FILL = "/test.Service/Fill"
"""Answers with as many bytes as the message has as a number (`filled`)."""
MOST = 2**20


def filled(size: int) -> bytes:
    """The message that asks for that many bytes, at most MOST."""
    return size.to_bytes(4)


_ZEROS = memoryview(bytes(MOST))


class Echo:
    """A transport that answers each message with itself, or with as much as it asks for."""

    def __init__(self, make: Make, settings: TransportSettings) -> None:
        self._transport = make(settings)
        self.address: Address = ("127.0.0.1", self._transport.start((*METHODS, transport.Method(FILL)), self._sink))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.stop(0)

    def _sink(self, events: Sequence[AnyEvent]) -> None:
        self._transport.send([reply for event in events if (reply := self._answer(*event))])

    def _answer(self, kind: Kind, call: Any, message: Any) -> Reply | None:
        match kind:
            case Kind.MESSAGE if call.method == FILL:
                return Reply(call, (_ZEROS[: int.from_bytes(message)],), OK)
            case Kind.MESSAGE if call.streaming:
                return Reply(call, (message,), credit=1)
            case Kind.MESSAGE:
                return Reply(call, (message,), OK)
            case Kind.HALF_CLOSE:
                return Reply(call, None, OK)
            case Kind.TOO_LARGE | Kind.OVERLOADED:
                return Reply(call, None, Trailers(GrpcStatus.RESOURCE_EXHAUSTED, bytes(message).decode()))
            case _:
                return None


class Neighbour:
    """A well-behaved client that calls all the time, one call after the other, and whose answers must all be right.

    It has an answer before the block begins, and gets at least one that it asked for after the block has ended.
    answer: the right one; without it, the message itself.
    """

    def __init__(
        self, address: Address, method: str = UNARY, message: bytes = b"question", answer: bytes | None = None
    ) -> None:
        self._message = message
        self._answer = message if answer is None else answer
        self._channel = grpc.insecure_channel("{}:{}".format(*address))
        self._call: Method = self._channel.unary_unary(method)
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._live, name="neighbour")
        self.answers = 0

    def __enter__(self) -> Self:
        self._ask(wait_for_ready=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        try:
            if kind is None:
                if self._failure is not None:
                    raise self._failure
                self._ask()
        finally:
            self._channel.close()

    def _live(self) -> None:
        try:
            while not self._ended.is_set():
                self._ask()
        except (grpc.RpcError, AssertionError) as failure:
            self._failure = failure

    def _ask(self, **options: Any) -> None:
        assert self._call(self._message, timeout=PATIENCE, **options) == self._answer
        self.answers += 1
