"""Headers that are too large cost their own call only, whatever they are made of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from naiad.frontends.grpc.transport import TransportSettings
from tests.abuse.frames import MAX_FRAME, block, call, continuation, headers, in_full, only_message
from tests.abuse.peer import Peer
from tests.abuse.service import Echo, Neighbour
from tests.frontends.grpc.test_transport import Make

CALLS = 50
LARGE = in_full("x-large", "x" * (MAX_FRAME - 100))
MORE = in_full("x-more", "more")
MANY = b"".join(in_full(f"x-{number}", "") for number in range(1200))
"""Small on the wire; each counts 32 bytes more (RFC 9113, section 6.5.2)."""


def in_one_frame(stream: int) -> bytes:
    return headers(stream, block() + in_full("x-large", "x" * 15_800), "END_HEADERS")


def in_two_frames(stream: int) -> bytes:
    return headers(stream, block()) + continuation(stream, LARGE + MORE, "END_HEADERS")


def in_many_pieces(stream: int) -> bytes:
    pieces = [LARGE[at : at + 6000] for at in range(0, len(LARGE), 6000)]
    middle = b"".join(continuation(stream, piece) for piece in pieces)
    return headers(stream, block()) + middle + continuation(stream, MORE, "END_HEADERS")


def of_many_names(stream: int) -> bytes:
    return headers(stream, block() + MANY, "END_HEADERS")


@pytest.mark.parametrize("make_call", [in_one_frame, in_two_frames, in_many_pieces, of_many_names])
def test_headers_above_the_limit_cost_their_own_call_only(make: Make, make_call: Callable[[int], bytes]) -> None:
    settings = TransportSettings(port=0, max_metadata_size=8 * 2**10)
    with Echo(make, settings) as echo, Neighbour(echo.address), Peer(echo.address) as peer:
        peer.ping()  # grpc.aio keeps its limit from when it is acknowledged
        streams = range(1, 2 * CALLS + 1, 2)
        for stream in streams:
            peer.send(make_call(stream) + only_message(stream, b"question"))
        peer.wait_for(lambda: peer.received.answered | peer.received.reset >= set(streams))
        assert peer.received.nbytes == 0
        peer.send(call(streams.stop, b"question"))
        peer.wait_for(lambda: streams.stop in peer.received.answered)
        assert peer.received.good_bye is None
