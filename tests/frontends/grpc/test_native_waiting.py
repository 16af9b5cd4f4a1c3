"""The native transport as the Waiter of the runners' pool: it drives the wire, and misses neither kick nor time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING

import grpc
import pytest

from naiad.core.waiter import ConditionWaiter, Waiter
from naiad.frontends.grpc.transport import AnyEvent, Event, Kind, TransportSettings
from naiad.frontends.grpc.wired import native
from tests.abuse.frames import call
from tests.abuse.peer import Peer
from tests.core.scripted import Scripted, config, eventually, request
from tests.frontends.grpc.served import Served, held, infer_request, values
from tests.frontends.grpc.wires import METHODS, PATIENCE

if TYPE_CHECKING:
    from naiad.frontends.grpc.native import NativeTransport

pytest.importorskip("naiad._native", reason="naiad._native is not built")

SLACK = 0.002
"""Seconds that a wait may take longer than it was told, on its best try of many."""
TRIES = 50
ROUNDS = 2000


class Waiting:
    """A transport that moves only while a test waits in it."""

    def __init__(self) -> None:
        self.transport: NativeTransport = native(TransportSettings(port=0), 2**30).transport  # type: ignore[assignment]  # it is one
        self.events: SimpleQueue[Event] = SimpleQueue()
        self.port = self.transport.start(METHODS, self._sink)

    def _sink(self, events: Sequence[AnyEvent]) -> None:
        for event in events:
            self.events.put(Event(*event))

    def stop(self) -> None:
        driver = Thread(target=self.transport.stop, args=(0,))
        driver.start()
        while driver.is_alive():
            self.transport.wait(0.01)


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    waiting = Waiting()
    yield waiting
    waiting.stop()


@pytest.fixture
def transport(waiting: Waiting) -> NativeTransport:
    return waiting.transport


def waits(waiter: Waiter, timeout: float | None) -> Flag:
    """Wait on a thread; the flag tells that the wait has ended."""
    ended = Flag()

    def run() -> None:
        waiter.wait(timeout)
        ended.set()

    Thread(target=run, daemon=True).start()
    return ended


def seconds(waiter: Waiter, timeout: float) -> float:
    """How long a wait takes."""
    began = time.monotonic()
    waiter.wait(timeout)
    return time.monotonic() - began


# Waiting.


def test_a_kick_ends_the_present_wait(transport: NativeTransport) -> None:
    ended = waits(transport, None)
    transport.kick()
    assert ended.wait(PATIENCE)


def test_a_kick_from_before_ends_the_next_wait(transport: NativeTransport) -> None:
    transport.kick()
    assert waits(transport, None).wait(PATIENCE)


def test_kicks_that_nobody_waited_for_are_one(transport: NativeTransport) -> None:
    transport.kick()
    transport.kick()
    transport.wait(None)
    assert seconds(transport, 0.02) >= 0.02
    transport.kick()
    assert waits(transport, None).wait(PATIENCE)


def test_a_look_takes_the_kick_that_it_finds(transport: NativeTransport) -> None:
    transport.kick()
    transport.wait(0)
    assert seconds(transport, 0.02) >= 0.02


@pytest.mark.parametrize("timeout", [0.0001, 0.0005, 0.001, 0.01])
def test_a_timeout_ends_a_wait_after_its_time_and_not_before(transport: NativeTransport, timeout: float) -> None:
    taken = [seconds(transport, timeout) for _ in range(TRIES)]
    assert timeout <= min(taken) < timeout + SLACK


@pytest.mark.parametrize("timeout", [0.0, -1.0])
def test_a_timeout_of_nothing_or_of_the_past_only_looks(transport: NativeTransport, timeout: float) -> None:
    assert min(seconds(transport, timeout) for _ in range(TRIES)) < SLACK


def test_a_look_delivers_what_is_there(waiting: Waiting) -> None:
    with Peer(("127.0.0.1", waiting.port)) as peer:
        peer.send(call(1, b"question"))

        def look() -> bool:
            waiting.transport.wait(0)
            return not waiting.events.empty()

        eventually(look)
        assert waiting.events.get().kind is Kind.MESSAGE


def test_no_kick_is_lost_between_two_threads(transport: NativeTransport) -> None:
    """Each hands a number to the other and waits for its answer; a lost kick would leave both waiting."""
    back = ConditionWaiter()
    numbers = [0]

    def answer() -> None:
        while numbers[-1] < ROUNDS:
            transport.wait(None)
            numbers.append(numbers[-1] + 1)
            back.kick()

    thread = Thread(target=answer, daemon=True)
    thread.start()
    ended = Flag()

    def ask() -> None:
        while numbers[-1] < ROUNDS:
            transport.kick()
            back.wait(None)
        ended.set()

    Thread(target=ask, daemon=True).start()
    assert ended.wait(PATIENCE)
    thread.join(PATIENCE)
    assert numbers == list(range(ROUNDS + 1))


# Under the pool.


@pytest.fixture
def served() -> Iterator[Served]:
    with Served("native") as served:
        yield served


def test_requests_of_other_threads_wake_the_one_that_drives_the_wire(served: Served) -> None:
    for number in range(ROUNDS // 4):
        assert served.house.infer(request(number)).value() == 2 * number


def test_requests_of_the_wire_and_of_other_threads_are_all_answered(served: Served) -> None:
    ours: list[float] = []

    def ask() -> None:
        ours.extend(served.house.infer(request(number)).value() for number in range(ROUNDS // 4))

    threads = [Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    theirs = [served.infer(number, timeout=PATIENCE) for number in range(ROUNDS // 4)]
    assert [values(one.result())[0] for one in theirs] == [2 * number for number in range(ROUNDS // 4)]
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(ours) == sorted(2.0 * number for number in range(ROUNDS // 4) for _ in threads)


def test_a_batch_waits_for_its_delay_and_not_much_longer(served: Served) -> None:
    delay = 0.0005
    served.house.serve(config("delayed", 2, delay_us=int(delay * 1e6)), [Scripted()], average_ns=1.0)
    taken = []
    for _ in range(TRIES):
        began = time.monotonic()
        served.house.infer(request(1.0, model="delayed")).value()
        taken.append(time.monotonic() - began)
    assert delay <= min(taken) < delay + 5 * SLACK


def test_a_request_is_taken_back_while_the_thread_that_drove_the_wire_runs(served: Served) -> None:
    with held(served.executable):
        first = served.infer(1.0, timeout=PATIENCE)
        served.executable.await_run()
        gone = served.infer(2.0, timeout=PATIENCE)
        (version,) = served.house.versions
        eventually(lambda: version.leases == 2)
        assert gone.cancel()
        eventually(lambda: version.leases == 1)
        assert not first.done()
    assert values(first.result()) == [2.0, 2.0]
    assert served.executable.executed == [1.0]


def test_a_deadline_passes_while_the_thread_that_drove_the_wire_runs(served: Served) -> None:
    with held(served.executable):
        first = served.infer(1.0, timeout=PATIENCE)
        served.executable.await_run()
        late = served.rpc("ModelInfer").future(infer_request(2.0), timeout=0.05)
        assert late.exception(PATIENCE).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        (version,) = served.house.versions
        eventually(lambda: version.leases == 1)
        assert not first.done()
    assert values(first.result()) == [2.0, 2.0]
    assert served.executable.executed == [1.0]
