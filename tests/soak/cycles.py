"""Start and stop a transport again and again in one process, and say what there is more of afterwards.

    python -m tests.soak.cycles {native,aio} CYCLES {whole,leaking,refused}

Writes a list of texts as JSON, empty where nothing has grown. In each whole cycle a client has a call answered, has
another one and a stream open when the transport stops, and must see its connection closed; the client is one of raw
sockets, which leaves nothing behind. A leaking cycle is the same, and keeps the call that was answered. In a refused
one the transport cannot listen, because somebody else does.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence

from naiad.frontends.grpc.transport import OK, AnyEvent, Kind, Reply, TransportSettings
from tests.abuse.frames import call, opening
from tests.abuse.peer import Peer
from tests.frontends.grpc.wires import METHODS, STREAM, TRANSPORTS
from tests.soak.counting import MB, Allowed, State, growth, outside
from tests.soak.probe import look

HELD = b"never answered"
ANSWERED = 5
"""The stream of the call that is answered."""
WARM_UP = 50
KEPT_BY_GRPC = frozenset(
    {
        *(f"builtins.{kind}" for kind in ("dict", "function", "list", "set", "tuple")),
        *("_weakrefset.WeakSet", "collections.deque", "weakref.ReferenceType", "weakref.WeakValueDictionary"),
        *("asyncio.unix_events._UnixSelectorEventLoop", "grpc._cython.cygrpc._BoundEventLoop"),
    }
)
"""grpc.aio keeps each loop that it ever ran on, and what belongs to it: there is one for each of our transports."""
ALLOWED = {
    "native": Allowed(resident=4 * MB, allocated=MB // 4, objects=20, blocks=1500),
    "aio": Allowed(resident=64 * MB, allocated=8 * MB, objects=20, blocks=MB, ignored=KEPT_BY_GRPC),
}


def whole(name: str, kept: list[object] | None = None) -> None:
    """One life of a transport."""
    transport = TRANSPORTS[name](TransportSettings(port=0))

    def answer(events: Sequence[AnyEvent]) -> None:
        answered = [(asked, message) for kind, asked, message in events if kind is Kind.MESSAGE and message != HELD]
        transport.send([Reply(asked, (message,), OK) for asked, message in answered])
        if kept is not None:
            kept.extend(asked for asked, _ in answered)

    address = ("127.0.0.1", transport.start(METHODS, answer))
    with Peer(address) as peer:
        try:
            peer.send(call(1, HELD) + opening(3, STREAM) + call(ANSWERED, b"question"))
            peer.wait_for(lambda: ANSWERED in peer.received.answered)
        finally:
            transport.stop(0)
        peer.wait_closed()


def refused(name: str) -> None:
    """An attempt to listen where somebody else does."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        transport = TRANSPORTS[name](TransportSettings(port=taken.getsockname()[1]))
        try:
            transport.start(METHODS, lambda _: None)
        except OSError:
            return
    raise AssertionError("a transport listens where somebody else does")


def main(name: str, cycles: int, kind: str) -> list[str]:
    """What has grown."""
    kept: list[object] = []
    kinds: dict[str, Callable[[], None]] = {
        "whole": lambda: whole(name),
        "leaking": lambda: whole(name, kept),
        "refused": lambda: refused(name),
    }
    for _ in range(WARM_UP):
        whole(name)
    look()  # once for what looking itself leaves behind
    before = _state()
    for _ in range(cycles):
        kinds[kind]()
    return growth(before, _state(), ALLOWED[name])


def _state() -> State:
    told = look()  # first, for it collects garbage
    return State(time.monotonic(), outside(os.getpid()), told)


if __name__ == "__main__":
    json.dump(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]), sys.stdout)
