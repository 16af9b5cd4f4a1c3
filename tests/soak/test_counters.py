"""The wire's own counters: every call that was accepted is accounted for, exactly.

A reply counts when the socket has taken it. So there are as many as calls, where nobody takes a call back; a call that
is reset before it is answered has none, and is all that is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hyperframe.frame import RstStreamFrame

from naiad.frontends.grpc.transport import Kind, TransportSettings
from tests.abuse.frames import STREAMS, block, call, headers, only_message, opening
from tests.abuse.peer import Peer
from tests.core.scripted import eventually
from tests.frontends.grpc.wires import TRANSPORTS, UNARY, Wire
from tests.requirements import require
from tests.soak import hangs
from tests.soak.crowd import Crowd
from tests.soak.hangs import Run
from tests.soak.observed import Observed
from tests.soak.visitors import ECHO, PATIENT, models

pytest.importorskip("naiad._native", reason="naiad._native is not built")

CANCEL = 8
SECONDS = 2.0
MANY_RUNS, MANY_SECONDS = 204, 3600


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire(TRANSPORTS["native"], TransportSettings(port=0)) as wire:
        yield wire


def counted(wire: Wire) -> dict[str, int]:
    """The counters that must not be 0."""
    counters: dict[str, int] = wire.transport.native.counters()  # type: ignore[attr-defined]  # it is Driven
    now = ("open_connections", "open_calls", "connections")
    return {name: number for name, number in counters.items() if number and name not in now}


def test_a_server_has_written_as_many_replies_as_there_were_calls(tmp_path: Path) -> None:
    with Observed(models(tmp_path), "native") as server:
        server.statistics(ECHO)  # behind all that the start has taken back
        before = server.ask()["wire"]
        with Crowd(server.grpc, PATIENT) as crowd:
            crowd.stay(SECONDS)
        after = server.ask()["wire"]
    more = {name: after[name] - before[name] for name in after}
    assert more["calls"] == more["replies_written"] > sum(crowd.visits.values())
    assert (more["cancelled"], more["resets_received"], more["resets_sent"], after["open_calls"]) == (0, 0, 0, 0)


def test_calls_that_are_reset_before_they_are_answered_are_all_that_have_no_reply(wire: Wire) -> None:
    streams = STREAMS[:60]
    with Peer(("127.0.0.1", wire.port)) as peer:
        peer.flood(call(stream, b"question") for stream in streams)
        events = [wire.next(Kind.MESSAGE) for _ in streams]
        peer.flood(RstStreamFrame(stream, CANCEL).serialize() for stream in streams[::3])
        taken_back = {id(wire.next(Kind.CANCEL).call) for _ in streams[::3]}
        for event in events:
            wire.reply(event, b"answer")  # also to those that are gone, where it is dropped
        peer.wait_for(lambda: len(peer.received.answered) == len(streams) - len(taken_back))
    # What the socket has taken is counted after it: the client may have it first.
    eventually(lambda: counted(wire).get("replies_written") == 40)
    assert counted(wire) == {"calls": 60, "cancelled": 20, "resets_received": 20, "replies_written": 40}


def test_a_call_that_is_reset_before_its_message_has_come_is_none_of_the_services(wire: Wire) -> None:
    with Peer(("127.0.0.1", wire.port)) as peer:
        peer.send(opening(1) + RstStreamFrame(1, CANCEL).serialize() + call(3, b"question"))
        wire.reply(wire.next(Kind.MESSAGE), b"answer")
        peer.wait_for(lambda: 3 in peer.received.answered)
    assert counted(wire) == {"calls": 2, "resets_received": 1, "replies_written": 1}


def test_a_call_whose_deadline_passes_is_taken_back_and_answered(wire: Wire) -> None:
    with Peer(("127.0.0.1", wire.port)) as peer:
        late = headers(1, block(UNARY, ("grpc-timeout", "20m")), "END_HEADERS") + only_message(1, b"question")
        peer.send(late)
        event = wire.next(Kind.MESSAGE)
        assert wire.next(Kind.CANCEL).call is event.call
        peer.wait_for(lambda: 1 in peer.received.answered)
    assert counted(wire) == {"calls": 1, "cancelled": 1, "replies_written": 1}


def test_calls_of_a_client_that_disconnects_are_cancelled_and_have_no_reply(wire: Wire) -> None:
    with Peer(("127.0.0.1", wire.port)) as peer:
        peer.flood(call(stream, b"question") for stream in islice(STREAMS, 10))
        events = [wire.next(Kind.MESSAGE) for _ in range(10)]
    for _ in events:
        wire.next(Kind.CANCEL)
    assert counted(wire) == {"calls": 10, "cancelled": 10}


@pytest.fixture
def perf_analyzer() -> None:
    require("perf_analyzer", hangs.PROGRAM.exists(), "perf_analyzer is not in .venv: `make dev` says why")


@pytest.mark.usefixtures("perf_analyzer")
def test_every_call_of_perf_analyzer_is_answered() -> None:
    with hangs.target("native") as server:
        before = server.wire()["calls"]
        for run in (Run("sync", 8, "windows"), Run("async", 32, "windows")):
            assert hangs.perform(run, server).unanswered == 0
        assert server.wire()["calls"] > before


@pytest.mark.drill
@pytest.mark.timeout(MANY_SECONDS)
@pytest.mark.usefixtures("perf_analyzer")
def test_of_many_runs_of_perf_analyzer_none_lacks_an_answer() -> None:
    """Some of them do not end, for reasons of its own (hangs.py)."""
    outcomes = list(hangs.perform_many("native", MANY_RUNS))
    assert [outcome for outcome in outcomes if outcome.unanswered] == []
    assert sum(outcome.verdict == "hung" for outcome in outcomes) < MANY_RUNS / 10
