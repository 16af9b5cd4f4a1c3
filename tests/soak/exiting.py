"""A process that ends while a transport of its own is at work: nothing is stopped, and calls are under way.

    python -m tests.soak.exiting {return,exit,os-exit}

It writes the port, and ends in the way it is told when a line comes on its standard input. Until then it answers every
message with itself, or with MUCH if it is asked for much; but never the first call.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence

from naiad.frontends.grpc.transport import OK, AnyEvent, Kind, Method, Reply, TransportSettings

UNARY, STREAM = "/test.Service/Unary", "/test.Service/Stream"
ASKS_FOR_MUCH = b"much"
MUCH = bytes(20 * 2**20)
"""Sent without a copy, and too large for anybody's windows."""
CODES = {"return": 0, "exit": 3, "os-exit": 4}


def main(way: str) -> int:
    from naiad import _native
    from naiad.frontends.grpc.native import NativeTransport

    transport = NativeTransport(TransportSettings(port=0), _native.Budget(2**30))
    held: list[object] = []

    def handle(events: Sequence[AnyEvent]) -> None:
        for kind, call, message in events:
            if not held:
                held.append(call)
            elif kind is Kind.MESSAGE:
                answer = MUCH if message == ASKS_FOR_MUCH else message
                transport.send([Reply(call, (answer,), None if call.streaming else OK)])

    def drive() -> None:
        while True:
            transport.wait(None)

    port = transport.start((Method(UNARY), Method(STREAM, streaming=True)), handle)
    threading.Thread(target=drive, name="driver", daemon=True).start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    sys.stdin.readline()
    if way == "exit":
        sys.exit(CODES[way])
    if way == "os-exit":
        os._exit(CODES[way])
    return CODES[way]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
