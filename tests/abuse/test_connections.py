"""Connections that never begin, never get on or never end: each is closed when its time is over, and not before.

They are many, and somebody who calls beside them gets all answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

import pytest
from hyperframe.frame import DataFrame

from naiad.frontends.grpc.transport import TransportSettings
from tests.abuse.frames import HELLO, PREFACE, delimited, opening
from tests.abuse.peer import Peer, wait_all
from tests.abuse.service import Address, Echo, Neighbour
from tests.frontends.grpc.test_transport import Make
from tests.frontends.grpc.wires import PATIENCE, STREAM

MANY = 200
NO_ERROR = 0
SPREAD = 0.9
"""The least part of an age, or of a time without calls, that a connection may get."""
MESSAGE = delimited(b"question")
HALF_REQUESTS = {
    "nothing of the message": opening(1),
    "nothing of the message of a stream": opening(1, STREAM),
    "half of the message's head": opening(1) + DataFrame(1, MESSAGE[:2]).serialize(),
    "half of the message": opening(1) + DataFrame(1, MESSAGE[:-2]).serialize(),
}
HALF_FRAMES = {
    "half of the last frame": opening(1) + DataFrame(1, MESSAGE).serialize()[:-2],
    "half of the headers": opening(1)[:-2],
}
"""After which nothing can be answered any more."""


@contextmanager
def peers(address: Address, make_peer: Callable[[Address], Peer]) -> Iterator[list[Peer]]:
    """Many connections to a server beside a neighbour, which are all to be closed by the server."""
    with Neighbour(address), ExitStack() as stack:
        made = [stack.enter_context(make_peer(address)) for _ in range(MANY)]
        yield made
        still_open = wait_all(made, time.monotonic() + PATIENCE)
        assert not still_open, f"{len(still_open)} of {MANY} still open, such as {still_open.pop().received}"


@pytest.mark.parametrize("said", [b"", PREFACE[:10], PREFACE, HELLO[:-1]], ids=["nothing", "a bit", "preface", "most"])
def test_connections_that_do_not_say_what_they_want_are_closed_in_time(make: Make, said: bytes) -> None:
    timeout = 0.5
    settings = TransportSettings(port=0, handshake_timeout=timeout)
    with Echo(make, settings) as echo, peers(echo.address, partial(Peer, hello=said, answers=False)) as made:
        pass
    assert min(peer.lasted for peer in made) >= timeout


def test_a_client_that_says_what_it_wants_byte_by_byte_has_no_more_time(make: Make) -> None:
    timeout = 0.5
    with Echo(make, TransportSettings(port=0, handshake_timeout=timeout)) as echo:
        peer = Peer(echo.address, b"", answers=False)
        for byte in HELLO:
            if peer.wait(time.monotonic() + 2 * timeout / len(HELLO)):
                break
            peer.send(bytes([byte]))
        assert peer.lasted >= timeout
        peer.close()


def test_connections_without_calls_are_told_to_go_and_closed(make: Make) -> None:
    idle = 0.5
    settings = TransportSettings(port=0, max_connection_idle=idle, max_connection_age_grace=0.5)
    with Echo(make, settings) as echo, peers(echo.address, Peer) as made:
        pass
    assert min(peer.lasted for peer in made) >= SPREAD * idle
    assert all(peer.received.good_bye for peer in made)


@pytest.mark.parametrize("said", (HALF_REQUESTS | HALF_FRAMES).values(), ids=HALF_REQUESTS | HALF_FRAMES)
def test_half_requests_of_peers_that_are_gone_end_with_keepalive(make: Make, transport: str, said: bytes) -> None:
    silence, timeout = 0.4, 0.3
    settings = TransportSettings(port=0, keepalive_time=silence, keepalive_timeout=timeout)
    with Echo(make, settings) as echo, peers(echo.address, partial(Peer, hello=HELLO + said, answers=False)) as made:
        pass
    assert all(peer.received.frames["PingFrame"] for peer in made)
    # grpc.aio pings for another reason as well, at once when data come.
    assert min(peer.lasted for peer in made) >= timeout + (silence if transport == "native" else 0)


@pytest.mark.parametrize("said", HALF_REQUESTS.values(), ids=HALF_REQUESTS)
def test_half_requests_of_peers_that_answer_pings_end_with_the_connections_age(
    make: Make, transport: str, said: bytes
) -> None:
    age, grace = 0.6, 0.4
    alive = TransportSettings(port=0, keepalive_time=0.2)
    settings = replace(alive, max_connection_age=age, max_connection_age_grace=grace)
    with Echo(make, settings) as echo, peers(echo.address, partial(Peer, hello=HELLO + said)) as made:
        pass
    assert min(peer.lasted for peer in made) >= SPREAD * age + grace
    assert all(peer.received.frames["PingFrame"] for peer in made)
    good_byes = [peer.received.good_bye for peer in made]
    assert all(good_byes)
    # grpc.aio sometimes calls it an error.
    assert transport == "aio" or {good_bye.code for good_bye in good_byes if good_bye} == {NO_ERROR}
