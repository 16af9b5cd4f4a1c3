"""The native transport with a thread that drives it, as runners do in a server."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Thread

from naiad._native import Budget
from naiad.frontends.grpc.native import NativeTransport
from naiad.frontends.grpc.transport import EventSink, Method, Reply, Trailers, TransportSettings

PLENTY = 2**33
"""Bytes that may be in flight."""


class Driven:
    """A `Transport` that moves by itself. budget: bytes that may be in flight."""

    def __init__(self, settings: TransportSettings, budget: int = PLENTY) -> None:
        self.budget = Budget(budget)
        self.native = NativeTransport(settings, self.budget)
        self._thread: Thread | None = None
        self._ended = False

    def start(self, methods: Sequence[Method], sink: EventSink) -> int:
        port = self.native.start(methods, sink)
        self._thread = Thread(target=self._drive, name="driver", daemon=True)
        self._thread.start()
        return port

    def send(self, replies: Sequence[Reply]) -> None:
        self.native.send(replies)

    def refuse(self, trailers: Trailers) -> None:
        self.native.refuse(trailers)

    def stop(self, grace: float) -> None:
        self.native.stop(grace)
        self._ended = True
        self.native.kick()
        if self._thread is not None:
            self._thread.join()

    def _drive(self) -> None:
        while not self._ended:
            self.native.wait(None)
