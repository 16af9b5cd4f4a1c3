"""What serves gRPC, and what the rest of the server has of it: where its runners wait, and who counts bytes."""

from __future__ import annotations

from typing import NamedTuple

from naiad.core.budget import Counter, LocalCounter
from naiad.core.waiter import ConditionWaiter, Waiter
from naiad.frontends.grpc.aio import AioTransport
from naiad.frontends.grpc.transport import Transport, TransportSettings


class Wired(NamedTuple):
    """A transport, the Waiter of the runners' pool, and the counter of the budget of bytes."""

    transport: Transport
    waiter: Waiter
    counter: Counter


def aio(settings: TransportSettings, max_bytes: int) -> Wired:
    """grpc.aio, which has a thread of its own and leaves counting to the engine."""
    return Wired(AioTransport(settings), ConditionWaiter(), LocalCounter(max_bytes))


def native(settings: TransportSettings, max_bytes: int) -> Wired:
    """HTTP/2 in Rust, driven by the runners. ImportError where it is not built."""
    from naiad._native import Budget
    from naiad.frontends.grpc.native import NativeTransport

    counter = Budget(max_bytes)
    transport = NativeTransport(settings, counter)
    return Wired(transport, transport, counter)
