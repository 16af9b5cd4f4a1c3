"""One caller of ModelInfer: a connection of its own, with one call at a time. Requests are framed before (http2.py)."""

from __future__ import annotations

import selectors
import socket
import time

from benchmarks import http2, servers

READ_BYTES = 2**20
BUFFERS_WRITTEN = 512
"""At most so many buffers go to the system at once; it takes up to 1024."""


class Caller:
    """sent, received: bytes so far, as the system took and gave them."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), servers.ANSWER_SECS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = self.received = 0
        self._http2 = http2.Connection(f"{servers.SERVICE}/ModelInfer", address)
        self._began = 0.0
        while not self._http2.ready:
            self.write()
            self._receive(memoryview(bytearray(READ_BYTES)))
        self.socket.setblocking(False)

    def request(self, message: bytes) -> None:
        self._began = time.perf_counter()
        self._http2.request(message)

    def read(self, into: memoryview) -> float | None:
        """Take what has come; gives the seconds that the call took if it ends with it."""
        busy = self._http2.busy
        self._receive(into)
        return time.perf_counter() - self._began if busy and not self._http2.busy else None

    def write(self) -> int:
        """Write what the system takes now; gives what to wait for then."""
        out = self._http2.out
        while out:
            try:
                size = self.socket.sendmsg(out[:BUFFERS_WRITTEN])
            except BlockingIOError:
                return selectors.EVENT_READ | selectors.EVENT_WRITE
            self.sent += size
            _drop(out, size)
        return selectors.EVENT_READ

    def _receive(self, into: memoryview) -> None:
        size = self.socket.recv_into(into)
        if not size:
            raise RuntimeError("the server closed the connection")
        self.received += size
        self._http2.receive(into[:size])


def _drop(buffers: list[http2.Buffer], size: int) -> None:
    """Take the first `size` bytes away."""
    whole = 0
    while whole < len(buffers) and size >= len(buffers[whole]):
        size -= len(buffers[whole])
        whole += 1
    del buffers[:whole]
    if size:
        buffers[0] = memoryview(buffers[0])[size:]
