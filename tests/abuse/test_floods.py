"""Floods of frames: a client that sends them is sent away and told why, and one that does not notices nothing.

grpc.aio counts pings only. From other floods it suffers as long as they last, so there the client ends them.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from itertools import islice

import pytest
from hyperframe.frame import RstStreamFrame

from naiad.frontends.grpc.transport import TransportSettings
from tests.abuse.floods import AT_ONCE, CANCEL, FLOODS, Floods
from tests.abuse.frames import STREAMS, call, opening
from tests.abuse.peer import GoodBye, Peer
from tests.abuse.service import Echo, Neighbour
from tests.frontends.grpc.test_transport import Make
from tests.frontends.grpc.wires import PATIENCE

FRAMES = 1_000_000
"""More than any flood may have before it has ended."""
SECONDS = 0.3
"""How long a flood lasts that a server does not end."""
ENHANCE_YOUR_CALM = 0xB
REASONS = {
    "pings": "too_many_pings",
    "settings": "too_many_control_frames",
    "priorities": "too_many_control_frames",
    "unknown_frames": "too_many_control_frames",
    "window_updates": "too_many_control_frames",
    "empty_data": "too_many_data_frames",
    "resets": "too_many_resets",
    "taken_back_calls": "too_many_resets",
    "taken_back_openings": "too_many_resets",
    "openings": "too_many_internal_resets",
    "continuations": "too_many_continuations",
    "empty_continuations": "too_many_continuations",
    "large_continuations": "too_many_continuations",
    "repeated_headers": "header_list_way_too_large",
}
CALLS = {"calls", "large_headers"}
"""Each of them is answered, or refused, as it comes."""


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_disturbs_nobody_else(make: Make, name: str) -> None:
    with Echo(make, TransportSettings(port=0)) as echo, Neighbour(echo.address), Peer(echo.address) as peer:
        peer.flood(Floods().chunks(name), until=time.monotonic() + SECONDS)


def test_every_flood_has_an_end_or_is_one_of_calls() -> None:
    assert set(FLOODS) == REASONS.keys() | CALLS


@pytest.mark.parametrize("transport", ["native"])
@pytest.mark.parametrize("name", sorted(REASONS))
def test_who_floods_is_sent_away_with_the_reason(make: Make, name: str) -> None:
    with Echo(make, TransportSettings(port=0)) as echo, Peer(echo.address, answers=False) as peer:
        peer.flood(islice(Floods().chunks(name), FRAMES // AT_ONCE))  # an answer in its midst could be another mistake
        assert peer.wait_closed() == GoodBye(ENHANCE_YOUR_CALM, REASONS[name])


def test_who_pings_too_often_is_sent_away_with_the_reason(make: Make) -> None:
    with Echo(make, TransportSettings(port=0)) as echo, Peer(echo.address) as peer:
        peer.flood(islice(Floods().pings(), 1))
        assert peer.wait_closed() == GoodBye(ENHANCE_YOUR_CALM, "too_many_pings")


@pytest.mark.parametrize("transport", ["native"])
def test_who_floods_after_the_good_bye_is_sent_away_at_once(make: Make) -> None:
    settings = TransportSettings(port=0, max_connection_age=0.1, max_connection_age_grace=2 * PATIENCE)
    with Echo(make, settings) as echo, Peer(echo.address) as peer:
        peer.send(opening(1))
        peer.wait_for(lambda: peer.received.frames["GoAwayFrame"] == 2)
        peer.flood(map(opening, STREAMS[1:FRAMES]))
        assert peer.wait_closed() == GoodBye(ENHANCE_YOUR_CALM, "too_many_late_calls")


def test_a_client_may_take_back_a_hundred_calls_before_anybody_has_looked_at_them(make: Make) -> None:
    with Echo(make, TransportSettings(port=0)) as echo, Peer(echo.address) as peer:
        peer.flood(islice(Floods().taken_back_calls(), 100 // AT_ONCE))
        assert_served(peer, 201)


def test_a_client_may_take_back_all_the_calls_that_it_may_have_open(make: Make) -> None:
    """As one does whose deadlines pass together."""
    streams = STREAMS[:1000]
    settings = TransportSettings(port=0, max_concurrent_streams=len(streams))
    with Echo(make, settings) as echo, Peer(echo.address) as peer:
        for _ in range(3):
            peer.flood(map(opening, streams))
            peer.ping()
            peer.flood(RstStreamFrame(stream, CANCEL).serialize() for stream in streams)
            streams = range(streams.stop, 2 * streams.stop - streams.start, 2)
        assert_served(peer, streams.start)


def test_thousands_of_calls_that_wait_cost_nobody_else_s(make: Make) -> None:
    with Echo(make, TransportSettings(port=0)) as echo, Neighbour(echo.address), ExitStack() as stack:
        for _ in range(5):
            peer = stack.enter_context(Peer(echo.address))
            peer.flood(map(opening, STREAMS[:1000]))
            peer.ping()


def assert_served(peer: Peer, stream: int) -> None:
    peer.send(call(stream, b"question"))
    peer.wait_for(lambda: stream in peer.received.answered)
    assert peer.received.good_bye is None
