"""Clients that do not read their answers: they wait, nobody else does, and the connection ends with its time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from hyperframe.frame import SettingsFrame, WindowUpdateFrame

from naiad.frontends.grpc.transport import TransportSettings
from tests.abuse.floods import Floods
from tests.abuse.frames import PREFACE, call, delimited
from tests.abuse.peer import Peer
from tests.abuse.service import FILL, Echo, Neighbour, filled
from tests.abuse.test_connections import SPREAD
from tests.frontends.grpc.test_transport import Make

CALLS = 100
SIZE = 10_000
STREAMS = range(1, 2 * CALLS, 2)
NO_WINDOW = PREFACE + SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 0}).serialize()


def large_answers() -> Iterator[bytes]:
    return (call(stream, filled(SIZE), FILL) for stream in STREAMS)


def test_a_client_without_a_window_gets_its_answers_when_it_opens_one(make: Make) -> None:
    prefix = len(delimited(b""))
    settings = TransportSettings(port=0)
    with Echo(make, settings) as echo, Neighbour(echo.address), Peer(echo.address, NO_WINDOW) as peer:
        peer.flood(large_answers())
        peer.wait_for(lambda: peer.received.frames["HeadersFrame"] == CALLS)
        assert (peer.received.nbytes, peer.received.answered) == (0, set())
        peer.send(SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: SIZE}).serialize())
        peer.send(WindowUpdateFrame(0, CALLS * (SIZE + prefix)).serialize())
        peer.flood(WindowUpdateFrame(stream, prefix).serialize() for stream in STREAMS)
        peer.wait_for(lambda: peer.received.answered == set(STREAMS))
        assert peer.received.nbytes == CALLS * (SIZE + prefix)


def test_a_client_that_never_opens_a_window_is_closed_when_its_connection_is_too_old(make: Make) -> None:
    age, grace = 0.6, 0.4
    settings = TransportSettings(port=0, max_connection_age=age, max_connection_age_grace=grace)
    with Echo(make, settings) as echo, Neighbour(echo.address), Peer(echo.address, NO_WINDOW) as peer:
        peer.flood(large_answers())
        peer.wait_closed()
        assert peer.lasted >= SPREAD * age + grace
        assert peer.received.nbytes == 0


def test_a_client_that_only_sends_is_read_no_more(make: Make) -> None:
    settings = TransportSettings(port=0, max_ping_strikes=0)
    with Echo(make, settings) as echo, Neighbour(echo.address), Peer(echo.address, answers=False) as peer:
        pings = b"".join(islice(Floods().pings(), 600))  # a megabyte
        megabytes = next(count for count in range(1000) if not peer.push(pings, patience=0.5))
        assert megabytes < 100  # the system keeps as much for two sockets
