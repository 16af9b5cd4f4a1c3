"""Clients that are slow, silent or too many, on real sockets. Waits are bounded only to tell a hang."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from naiad.frontends.http.limits import Limits
from naiad.frontends.http.server import HttpServer
from tests.core.scripted import HOUR, PATIENCE, eventually

SHORT, SEVERAL = 0.2, 3.0
GET = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE = 64 * 2**20

Start = Callable[[Limits], Callable[[], socket.socket]]


async def small(_: Request) -> Response:
    return Response(b"small")


async def large(_: Request) -> Response:
    return Response(bytes(LARGE))


APPLICATION = Starlette(routes=[Route("/small", small), Route("/large", large)])


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a server within limits; gives what connects to it."""
    with ExitStack() as stack:

        def start(limits: Limits) -> Callable[[], socket.socket]:
            server = HttpServer(APPLICATION, "limits", "127.0.0.1", 0, limits=limits)
            port = server.start()
            stack.callback(server.stop)
            return lambda: stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))

        yield start


def closed(connection: socket.socket) -> bool:
    """Wait until the server has closed the connection; False when it has said something instead."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def answered(connection: socket.socket) -> bool:
    received = b""
    while not received.endswith(b"small"):
        more = connection.recv(4096)
        assert more, received
        received += more
    return received.startswith(b"HTTP/1.1 200")


def test_a_connection_that_says_nothing_is_cut(start: Start) -> None:
    assert closed(start(Limits(exchange_secs=SHORT))())


def test_a_request_that_does_not_end_is_cut_however_often_a_piece_of_it_comes(start: Start) -> None:
    connection = start(Limits(exchange_secs=SHORT))()
    connection.settimeout(0.01)
    connection.sendall(b"GET /small HTTP/1.1\r\n")
    cut = False
    while not cut:
        try:
            connection.sendall(b"x: y\r\n")
            cut = closed(connection)
        except TimeoutError:
            continue
        except OSError:
            cut = True
    assert cut


def test_an_answer_that_nobody_reads_is_cut() -> None:
    server = HttpServer(APPLICATION, "limits", "127.0.0.1", 0, limits=Limits(exchange_secs=SHORT))
    address = ("127.0.0.1", server.start())
    connections = server._server.server_state.connections
    with socket.create_connection(address, PATIENCE) as connection:
        connection.sendall(GET % b"large")
        assert connection.recv(1) == b"H"
        eventually(lambda: not connections)
        assert read_all(connection) < LARGE
    server.stop()


def read_all(connection: socket.socket) -> int:
    """How many bytes are still to be had."""
    total = 0
    with suppress(ConnectionResetError):
        while more := connection.recv(1 << 20):
            total += len(more)
    return total


def test_an_answer_that_is_read_late_but_in_time_costs_nothing() -> None:
    server = HttpServer(APPLICATION, "limits", "127.0.0.1", 0, limits=Limits(exchange_secs=SEVERAL, idle_secs=3600))
    address = ("127.0.0.1", server.start())
    connections = server._server.server_state.connections
    with socket.create_connection(address, PATIENCE) as connection:
        connection.sendall(GET % b"large")
        received = 0
        while received < LARGE:
            received += len(connection.recv(1 << 20))
        (protocol,) = connections
        eventually(lambda: vars(protocol).get("_cut") is None)
        connection.sendall(GET % b"small")
        assert b"small" in connection.recv(4096) + connection.recv(4096)
    server.stop()


def test_an_exchange_begins_anew_with_each_request(start: Start) -> None:
    connection = start(Limits(exchange_secs=HOUR, idle_secs=3600))()
    for _ in range(3):
        connection.sendall(GET % b"small")
        assert answered(connection)


def test_requests_sent_ahead_are_answered_in_turn(start: Start) -> None:
    connection = start(Limits(exchange_secs=HOUR))()
    connection.sendall(GET % b"small" * 3)
    received = b""
    while received.count(b"small") < 3:
        received += connection.recv(4096)
    assert received.count(b"HTTP/1.1 200") == 3


def test_a_connection_without_a_next_request_is_closed(start: Start) -> None:
    connection = start(Limits(exchange_secs=HOUR, idle_secs=1))()
    connection.sendall(GET % b"small")
    assert answered(connection)
    assert closed(connection)


def test_a_connection_too_many_is_cut_and_the_others_are_served(start: Start) -> None:
    connect = start(Limits(connections=2, exchange_secs=HOUR))
    first, second = connect(), connect()
    for connection in (first, second):
        connection.sendall(GET % b"small")
        assert answered(connection)
    assert closed(connect())
    first.sendall(GET % b"small")
    assert answered(first)
    first.close()
    _served_again(connect)


def _served_again(connect: Callable[[], socket.socket]) -> None:
    """Wait until the server has noticed that a place is free."""
    while True:
        connection = connect()
        try:
            connection.sendall(GET % b"small")
            answered(connection)
        except (AssertionError, OSError):
            continue
        return


def test_a_server_stops_although_a_connection_is_open() -> None:
    server = HttpServer(APPLICATION, "limits", "127.0.0.1", 0, limits=Limits(exchange_secs=HOUR))
    address = ("127.0.0.1", server.start())
    with socket.create_connection(address, PATIENCE) as silent, socket.create_connection(address, PATIENCE) as idle:
        idle.sendall(GET % b"small")
        assert answered(idle)
        server.stop()
        assert closed(silent)
        assert closed(idle)
