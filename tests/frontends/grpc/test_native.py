"""What the native transport alone promises: what counts against the budget, and that nobody is held up by others."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator

import pytest

from naiad.core.budget import Budget
from naiad.core.errors import Rejected
from naiad.frontends.grpc.transport import OK, Kind, Reply, TransportSettings
from tests.frontends.grpc.wires import PATIENCE, UNARY, Wire
from tests.interop.peer import Peer, framed

pytest.importorskip("naiad._native", reason="naiad._native is not built")

from tests.frontends.grpc.driven import Driven

MB = 2**20
BUDGET = 8 * MB


@pytest.fixture
def driven() -> Driven:
    return Driven(TransportSettings(port=0), BUDGET)


@pytest.fixture
def wire(driven: Driven) -> Iterator[Wire]:
    with Wire(lambda _: driven, TransportSettings()) as wire:
        yield wire


def test_a_message_counts_until_its_call_is_answered(wire: Wire, driven: Driven) -> None:
    answer = wire.call(bytes(1000))
    event = wire.next(Kind.MESSAGE)
    assert driven.budget.used == 1000
    wire.reply(event, b"a")
    assert answer.result(PATIENCE) == b"a"
    assert eventually_used(driven, 0)


def test_an_adopted_message_counts_until_its_owner_gives_it_back(wire: Wire, driven: Driven) -> None:
    answer = wire.call(bytes(1000))
    event = wire.next(Kind.MESSAGE)
    assert event.call.adopt()
    assert not event.call.adopt()
    wire.reply(event, b"a")
    assert answer.result(PATIENCE) == b"a"
    assert driven.budget.used == 1000
    driven.budget.give_back(1000)


def test_a_disowned_message_is_the_wire_s_again(wire: Wire, driven: Driven) -> None:
    answer = wire.call(bytes(1000))
    event = wire.next(Kind.MESSAGE)
    assert event.call.adopt()
    event.call.disown()
    wire.reply(event, b"a")
    assert answer.result(PATIENCE) == b"a"
    del event
    assert eventually_used(driven, 0)


def test_a_message_beyond_the_budget_is_refused_before_it_is_read_in_the_core_s_words(
    wire: Wire, driven: Driven
) -> None:
    held = wire.call(bytes(5 * MB))
    first = wire.next(Kind.MESSAGE)
    with Peer(wire.port) as peer:
        stream = peer.begin(UNARY)
        peer.send(stream, framed(b"", length=4 * MB)[:5])
        refused = wire.next(Kind.OVERLOADED)
        with pytest.raises(Rejected) as expected:
            Budget(driven.budget).reserve(4 * MB)
        window = BUDGET - driven.budget.limit
        more = f" Of its {BUDGET} bytes connections have {window}."
        assert bytes(refused.message).decode() == str(expected.value) + more
        wire.end(refused)
    wire.reply(first, b"a")
    assert held.result(PATIENCE) == b"a"


def test_replies_that_nobody_reads_leave_less_room_for_requests(wire: Wire, driven: Driven) -> None:
    with Peer(wire.port, window=0) as peer:
        replies = 0
        while True:
            peer.send(peer.begin(UNARY), framed(b"q"), end=True)
            event = wire.events.get(timeout=PATIENCE)
            if event.kind is not Kind.MESSAGE:
                break
            wire.reply(event, bytes(MB))
            replies += 1
            assert replies * MB <= BUDGET, "replies that nobody reads never made the server refuse"
        assert (event.kind, replies > 1) == (Kind.OVERLOADED, True)
        assert driven.budget.used >= replies * MB
        wire.end(event)
    assert eventually_used(driven, 0)


def test_a_stop_waits_for_a_slow_reader_of_an_answer(wire: Wire) -> None:
    answer = bytes(range(256)) * (4 * MB // 256)
    with Peer(wire.port, window=2**16) as peer:
        stream = peer.begin(UNARY)
        peer.unread.add(stream)
        peer.send(stream, framed(b"q"), end=True)
        wire.reply(wire.next(Kind.MESSAGE), answer)
        peer.received(stream, 2**16)
        stopper = threading.Thread(target=wire.transport.stop, args=(PATIENCE,))
        stopper.start()
        stopper.join(1.5)
        assert stopper.is_alive()
        peer.read_on(stream)
        assert peer.received(stream, 5 + len(answer))[5:] == answer
        stopper.join(PATIENCE)
        assert not stopper.is_alive()


def test_a_connection_may_have_thousands_of_calls(wire: Wire, driven: Driven) -> None:
    calls = 3000
    with Peer(wire.port) as peer:
        for i in range(calls):
            stream = peer.begin(UNARY)
            peer.send(stream, framed(b"%d" % i), end=True)
            event = wire.next(Kind.MESSAGE)
            wire.transport.send([Reply(event.call, (event.message,), OK)])
            assert peer.answer(stream).messages[0].data == b"%d" % i
    counted = driven.native.counters()
    assert counted["calls"] == counted["replies_written"] == calls


def test_what_takes_long_to_decompress_holds_up_nobody_else() -> None:
    size = 200 * MB
    packed = gzip.compress(bytes(size), 1)
    with Wire(Driven, TransportSettings(port=0)) as wire, Peer(wire.port) as other:
        stream = other.begin(UNARY, ("grpc-encoding", "gzip"))
        other.send(stream, framed(packed, flag=1), end=True)
        answered = 0
        while True:  # each call is told, and answered, while the other is still at work
            call = wire.call(b"small")
            event = wire.events.get(timeout=PATIENCE)
            if len(event.message) == size:
                break
            wire.reply(event, b"a")
            assert call.result(PATIENCE) == b"a"
            answered += 1
        assert answered > 3
        wire.reply(event, b"a")
        wire.reply(wire.next(Kind.MESSAGE), b"a")


def eventually_used(driven: Driven, nbytes: int) -> bool:
    """Whether so many bytes are counted, sooner or later: calls end after their clients know."""
    until = time.monotonic() + PATIENCE
    while driven.budget.used != nbytes and time.monotonic() < until:
        time.sleep(0.01)
    return driven.budget.used == nbytes
