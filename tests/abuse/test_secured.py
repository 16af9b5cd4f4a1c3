"""Under TLS a server knows its peers by the same frames."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path

from naiad.frontends.grpc.transport import TransportSettings
from tests.abuse.floods import Floods
from tests.abuse.frames import HELLO, parse
from tests.abuse.peer import CHUNK, GoodBye, Received
from tests.abuse.service import Echo
from tests.abuse.test_floods import ENHANCE_YOUR_CALM
from tests.certificates import Authority, write
from tests.frontends.grpc.test_transport import Make
from tests.frontends.grpc.wires import PATIENCE

AUTHORITY = Authority()


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    return context


def received(connection: ssl.SSLSocket) -> Received:
    """Everything until the server closes."""
    buffer, noted = bytearray(), Received()
    with suppress(ssl.SSLEOFError, ConnectionError):
        while data := connection.recv(CHUNK):
            buffer += data
            for frame in parse(buffer):
                noted.note(frame)
    return noted


def test_who_pings_too_often_is_sent_away_with_the_reason(make: Make, tmp_path: Path) -> None:
    settings = TransportSettings(port=0, tls=write(tmp_path, AUTHORITY.issue()))
    with Echo(make, settings) as echo, socket.create_connection(echo.address, PATIENCE) as plain:
        connection = client_context().wrap_socket(plain)
        connection.sendall(HELLO + b"".join(islice(Floods().pings(), 1)))
        assert received(connection).good_bye == GoodBye(ENHANCE_YOUR_CALM, "too_many_pings")
        connection.close()


def test_a_connection_that_is_silent_after_the_handshake_of_tls_is_closed_in_time(make: Make, tmp_path: Path) -> None:
    timeout = 0.5
    settings = TransportSettings(port=0, tls=write(tmp_path, AUTHORITY.issue()), handshake_timeout=timeout)
    with Echo(make, settings) as echo:
        began = time.monotonic()
        with socket.create_connection(echo.address, PATIENCE) as plain:
            connection = client_context().wrap_socket(plain)
            assert received(connection).answered == set()
            assert time.monotonic() - began >= timeout
            connection.close()
