"""What one client of an HTTP server may take: connections are bounded, and so is the time of each exchange.

A connection that has not received its whole answer in time, because its request does not come or its answer is not
read, is cut. Without that a client that sends a byte a minute holds its place for ever.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from uvicorn.protocols.http.h11_impl import H11Protocol


class Limits(NamedTuple):
    """Of one server. exchange_secs: from the first wait for a request to the end of its answer."""

    connections: int = 512
    exchange_secs: float = 30
    idle_secs: int = 75


DEFAULT = Limits()


def limited(limits: Limits) -> type[asyncio.Protocol]:
    """The protocol for uvicorn, within these limits."""
    return type("Limited", (_Limited,), {"limits": limits})


class _Limited(H11Protocol):
    limits = DEFAULT
    _cut: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.abort()
        else:
            self._begin()

    def data_received(self, data: bytes) -> None:
        if self._idle():
            self._begin()
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Go on counting while the answer is still to be read, or when the next request was there already."""
        answered = self._idle()
        super().on_response_complete()
        if not self.cycle.response_complete:
            self._begin()
        elif answered:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def _idle(self) -> bool:
        """Whether an exchange has ended, answer and all, and the next one has not begun."""
        answered: bool = getattr(self.cycle, "response_complete", False)  # there is none before the first request
        return answered and not self.transport.get_write_buffer_size()

    def _begin(self) -> None:
        self._end()
        self._cut = self.loop.call_later(self.limits.exchange_secs, self._over)

    def _end(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None

    def _over(self) -> None:
        self._cut = None
        if not self._idle():
            self.transport.abort()
