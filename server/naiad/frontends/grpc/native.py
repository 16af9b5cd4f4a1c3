"""The transport over `naiad._native`: HTTP/2, gRPC's framing and TLS in Rust, without a thread of its own.

It is a `core.waiter.Waiter` as well: whoever waits in it drives the wire, and handles what has come. So the thread
that reads requests is the one that runs them, and answers leave with its next wait. Nothing moves while nobody waits.

Requests count against the budget of bytes as soon as their length is known, before they are read.
"""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from threading import Lock

from naiad import _native
from naiad.frontends.grpc.tls import CertificateFiles, Material
from naiad.frontends.grpc.transport import (
    OK,
    STOPPING,
    EventSink,
    Kind,
    Method,
    Reply,
    Trailers,
    TransportSettings,
)
from naiad.frontends.grpc.unix import SocketFile, path_of

log = logging.getLogger(__name__)

_NOT_HERE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""Of the addresses of one name, those that the machine does not have are left out."""
_LAST_WRITES = 1.0
"""Seconds that replies made in time get to reach their clients when everything is answered."""


class NativeTransport:
    """A `Transport`, and the `Waiter` that drives it."""

    def __init__(self, settings: TransportSettings, budget: _native.Budget) -> None:
        self._settings = settings
        self._server = _server(settings, budget)
        self._poll = self._server.poll
        self._sink: EventSink
        self._undo = ExitStack()
        self._stopping = Lock()

    def start(self, methods: Sequence[Method], sink: EventSink) -> int:
        self._sink = sink
        with ExitStack() as undo:
            self._server.serve(methods)
            if self._settings.tls is not None:
                certificates = CertificateFiles(self._settings.tls, self._use)
                certificates.start()
                undo.callback(certificates.stop)
            port = self._listen(undo)
            self._undo = undo.pop_all()
        return port

    def wait(self, timeout: float | None) -> None:
        events = self._poll(timeout)
        if events:
            self._sink(events)
        elif complaint := self._server.complaint():
            log.error("gRPC: %s", complaint)

    def kick(self) -> None:
        self._server.kick()

    def send(self, replies: Sequence[Reply]) -> None:
        self._server.send(replies)

    def refuse(self, trailers: Trailers) -> None:
        self._server.refuse(*trailers)

    def stop(self, grace: float) -> None:
        until = time.monotonic() + grace
        with self._stopping:
            self._server.refuse_unless_refused(*STOPPING)
            self._server.end_idle_streams(*STOPPING)
            answered = self._server.wait_until_answered(grace)
            self._server.close(_LAST_WRITES if answered else max(0.0, until - time.monotonic()))
            self._undo.close()

    def counters(self) -> dict[str, int]:
        """What the wire has counted (`_native.Server.counters`)."""
        return self._server.counters()

    def _use(self, material: Material) -> None:
        self._server.use_certificate(*material)

    def _listen(self, undo: ExitStack) -> int:
        path = path_of(self._settings.host)
        try:
            if path is None:
                return self._listen_tcp()
            file = SocketFile(path)
            file.make_way()
            self._server.listen_unix(str(path))
            file.claim()
            undo.callback(file.remove)
        except OSError as error:
            where = path or f"{self._settings.host} port {self._settings.port}"
            raise OSError(error.errno, f"gRPC cannot listen on {where}: {error.strerror or error}") from None
        return 0

    def _listen_tcp(self) -> int:
        settings = self._settings
        found = socket.getaddrinfo(settings.host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        port, heard = settings.port, False
        missing: OSError | None = None
        for address in dict.fromkeys(str(address[0]) for *_, address in found):
            try:
                port = self._server.listen(address, port, settings.reuse_port)
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
            else:
                heard = True
        if missing is not None and not heard:
            raise missing
        return port


def _server(settings: TransportSettings, budget: _native.Budget) -> _native.Server:
    return _native.Server(
        tuple(Kind),
        OK,
        budget,
        max_message_size=settings.max_message_size,
        max_metadata_size=settings.max_metadata_size,
        max_concurrent_streams=settings.max_concurrent_streams,
        handshake_timeout=settings.handshake_timeout,
        keepalive_time=settings.keepalive_time,
        keepalive_timeout=settings.keepalive_timeout,
        keepalive_without_calls=settings.keepalive_without_calls,
        max_connection_idle=settings.max_connection_idle,
        max_connection_age=settings.max_connection_age,
        max_connection_age_grace=settings.max_connection_age_grace,
        least_ping_interval=settings.least_ping_interval,
        max_ping_strikes=settings.max_ping_strikes,
        compression=settings.compression,
    )
