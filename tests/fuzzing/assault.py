"""Wrong streams against a server: many connections at once. It must end each, and speak HTTP/2 on it until then."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress

from hyperframe.frame import PingFrame

from tests.abuse.peer import Peer, Received, wait_all
from tests.e2e.server import PATIENCE, Server

LINGER = 0.05
"""Seconds in which the server may answer before a client says that it has no more to say."""
LAST_WORDS = PingFrame(0, b"finished").serialize()


class _Hushed(Peer):
    def hush(self) -> None:
        """Say that there is no more to come."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)


def address(server: Server) -> tuple[str, int]:
    host, _, port = server.grpc.rpartition(":")
    return host, int(port)


def assault(server: tuple[str, int], streams: Iterable[bytes]) -> list[Received]:
    """Send each stream over a connection of its own; return what came back when the server has closed all of them."""
    with ExitStack() as stack:
        peers = [stack.enter_context(_Hushed(server, stream + LAST_WORDS, answers=False)) for stream in streams]
        wait_all(peers, time.monotonic() + LINGER)
        for peer in peers:
            peer.hush()
        still_open = wait_all(peers, time.monotonic() + PATIENCE)
        assert not still_open, f"{len(still_open)} of {len(peers)} connections are still open after {PATIENCE:g} s"
        return [peer.received for peer in peers]
