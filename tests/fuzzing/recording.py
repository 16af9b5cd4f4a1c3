"""What clients say: a proxy between them and a server that keeps the bytes of every connection."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.e2e.server import PATIENCE

CHUNK = 2**16


class Recorder:
    """Clients that connect to `address` talk to the server. After the block `recorded` has what each of them said."""

    def __init__(self, server: str) -> None:
        host, _, port = server.rpartition(":")
        self._server = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._acceptor = threading.Thread(target=self._accept, name="recorder")
        self._connections: list[_Connection] = []

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return "{}:{}".format(*self._listener.getsockname())

    @property
    def recorded(self) -> list[bytes]:
        return [bytes(connection.said) for connection in self._connections]

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(PATIENCE)
        self._listener.close()
        for connection in self._connections:
            connection.end()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(_Connection(client, socket.create_connection(self._server)))


class _Connection:
    """A client's connection, and the one to the server that belongs to it."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.said = bytearray()
        self._sockets = (client, server)
        self._threads = [
            threading.Thread(target=_pass_on, args=(client, server, self.said)),
            threading.Thread(target=_pass_on, args=(server, client, bytearray())),
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        for end in self._sockets:
            _shut(end, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        for end in self._sockets:
            end.close()


def _pass_on(source: socket.socket, sink: socket.socket, said: bytearray) -> None:
    """Until either end has gone."""
    with suppress(OSError):
        while chunk := source.recv(CHUNK):
            said += chunk
            sink.sendall(chunk)
    _shut(sink, socket.SHUT_WR)


def _shut(end: socket.socket, how: int) -> None:
    with suppress(OSError):  # the other side was faster
        end.shutdown(how)
