"""A real server under clients that come and go in every way: what it holds at rest does not grow.

The same is demanded of a server that keeps a third of what comes to it, where it must be found out.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.frontends.grpc.wires import TRANSPORTS
from tests.soak.counting import MB, Allowed, State, comes_back, growth, slope
from tests.soak.load import Work, work
from tests.soak.observed import Observed
from tests.soak.visitors import VISITS, models

ROUNDS, SECONDS = 3, 1.5
MANY_ROUNDS, LONG_SECONDS, LONGEST_SECONDS = 60, 9.5, 1800
"""About 10 minutes."""
STEEPEST = {"native": 0.5 * MB, "aio": 8 * MB}
"""Bytes a minute. gRPC's core keeps about 60 bytes of each connection that breaks, and 250 of each large call that is
taken back, of which there are tens of thousands."""
COMES_BACK = {"native"}
"""Transports whose resident memory falls again. What gRPC's core keeps lies strewn about, and no page of it is free."""
ALLOWED = {
    "native": Allowed(allocated=8 * MB, resident=48 * MB),
    "aio": Allowed(threads=4, allocated=8 * MB, resident=64 * MB),
}
"""Between the first round and the last. A thread may hold what it has worked on last; gRPC has threads of its own."""


@pytest.fixture(params=sorted(TRANSPORTS))
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "native":
        pytest.importorskip("naiad._native", reason="naiad._native is not built")
    return name


def served(transport: str, directory: Path, rounds: int, seconds: float, manner: str = "honest") -> Work:
    """Work for a server in its own process, which must have served visitors of each kind."""
    with Observed(models(directory), transport, manner=manner) as server:
        done = work(server, rounds, seconds)
    assert done.visits.keys() == VISITS.keys()
    return done


def left_open(state: State) -> bool:
    """Whether a call is open at rest, or a connection but the test's own, which ends when it has been idle for long."""
    wire = state.told["wire"]
    return bool(wire) and (wire["open_calls"] > 0 or wire["open_connections"] > 1)


def test_what_a_server_holds_does_not_grow_with_the_clients_that_were_there(transport: str, tmp_path: Path) -> None:
    done = served(transport, tmp_path, ROUNDS, SECONDS)
    assert growth(done.states[0], done.states[-1], ALLOWED[transport]) == []
    assert not any(map(left_open, done.states))


def test_a_server_that_keeps_calls_is_found_out(transport: str, tmp_path: Path) -> None:
    done = served(transport, tmp_path, 2, SECONDS, "leaking")
    found = growth(done.states[0], done.states[-1], ALLOWED[transport])
    assert any(text.startswith("objects of naiad.core.pending.Pending") for text in found), found


@pytest.mark.drill
@pytest.mark.timeout(LONGEST_SECONDS)
def test_memory_is_level_after_ten_minutes_of_clients(transport: str, tmp_path: Path) -> None:
    done = served(transport, tmp_path, MANY_ROUNDS, LONG_SECONDS)
    report(transport, done)
    middle, last = done.states[MANY_ROUNDS // 2], done.states[-1]
    assert growth(middle, last, replace(ALLOWED[transport], allocated=sys.maxsize, resident=sys.maxsize)) == []
    assert slope(done.states) < STEEPEST[transport]
    assert comes_back(done.states) or transport not in COMES_BACK
    assert not any(map(left_open, done.states))


@pytest.mark.drill
@pytest.mark.timeout(LONGEST_SECONDS)
def test_the_memory_of_a_server_that_drips_is_not_level(transport: str, tmp_path: Path) -> None:
    done = served(transport, tmp_path, 12, 3, "dripping")
    report(transport, done)
    assert slope(done.states) > STEEPEST[transport]


def report(transport: str, done: Work) -> None:
    """Write figures for whoever reads the test's output."""
    first, last = done.states[0], done.states[-1]
    sys.stderr.write(
        f"{transport}: {done.visits.total()} visits in {last.at - first.at:.0f} s, {slope(done.states) / MB:+.3f} MB a "
        f"minute allocated, {first.told['allocated'] / MB:.1f} -> {last.told['allocated'] / MB:.1f} MB, resident "
        f"{[round(state.outside.resident / MB) for state in done.states]} MB, {last.outside}, {last.told['wire']}\n"
    )
