"""Requests that wait while nothing serves: each is answered once, in order, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from typing import NamedTuple, cast

import pytest

from naiad.core.engine import Served
from naiad.core.errors import Cancelled, DeadlineExceeded, InvalidArgument, NaiadError, Rejected, Unavailable
from naiad.core.pending import Pending
from naiad.core.types import InferRequest
from naiad.core.version import Version
from naiad.core.waiting import WaitingRoom
from tests.core.house import House
from tests.core.scripted import HOUR, PATIENCE, Caller, Scripted, config, eventually, request


class Hall(NamedTuple):
    """A house with a waiting room before it, and the errors of which the room has told."""

    house: House
    room: WaitingRoom
    failed: list[NaiadError]

    def enter(self, wanted: InferRequest, caller: Caller | None = None) -> Caller:
        caller = caller or Caller()
        caller.pending = cast(Pending, self.room.submit(wanted, caller))
        return caller

    def serve(self, *executables: Scripted, limit: int = 1024) -> Version:
        return self.house.serve(config(), executables or (Scripted(),), number=2, limit=limit)


@pytest.fixture
def hall() -> Iterator[Hall]:
    with House(budget=64) as house:
        failed: list[NaiadError] = []
        yield Hall(house, WaitingRoom(2, 4, house.timer, house.budget, lambda error, _: failed.append(error)), failed)
        eventually(lambda: house.budget.used == 0)
        eventually(lambda: len(house.timer) == 0)


def test_who_waits_is_handed_over_in_order(hall: Hall) -> None:
    callers = [hall.enter(request(float(value))) for value in (1, 2, 3)]
    assert len(hall.room) == 3
    executable = Scripted()
    hall.room.open(hall.serve(executable))
    assert [caller.value() for caller in callers] == [2.0, 4.0, 6.0]
    assert executable.executed == [1.0, 2.0, 3.0]
    assert hall.failed == []


def test_who_comes_while_others_are_handed_over_waits_behind_them(hall: Hall) -> None:
    order: list[float] = []

    class Recording:
        number = 2

        def submit(self, given: InferRequest, _: Caller) -> Pending:
            order.append(float(given.data[0].flat[0]))
            if order == [1.0]:
                hall.room.submit(request(3.0), Caller())
            hall.house.budget.release(given.nbytes)
            return cast(Pending, None)

    for value in (1.0, 2.0):
        hall.room.submit(request(value), Caller())
    hall.room.open(cast(Version, Recording()))
    assert order == [1.0, 2.0, 3.0]


def test_who_comes_after_it_was_opened_goes_straight_on(hall: Hall) -> None:
    hall.room.open(hall.serve())
    assert hall.enter(request(2.0)).value() == 4.0
    assert len(hall.room) == 0


def test_those_who_name_what_comes_may_wait_and_others_may_not(hall: Hall) -> None:
    assert hall.room.takes(None)
    assert hall.room.takes(2)
    assert not hall.room.takes(1)


def test_one_who_named_what_did_not_come_is_told(hall: Hall) -> None:
    named = hall.enter(request(1.0, version=2))
    other = hall.enter(request(2.0))
    hall.room.open(hall.house.serve(config(), [Scripted()], number=1))
    assert isinstance(named.error(), Unavailable)
    assert other.value() == 4.0


def test_more_than_the_limit_are_refused(hall: Hall) -> None:
    waiting = [hall.enter(request(1.0)) for _ in range(4)]
    with pytest.raises(Rejected, match="Exceeds maximum queue size"):
        hall.enter(request(1.0))
    waiting[0].cancel()
    hall.enter(request(1.0))
    hall.room.close(Unavailable("no"))


def test_bytes_are_reserved_while_it_waits_and_refused_where_there_are_none(hall: Hall) -> None:
    first = hall.enter(request(1.0, width=15))
    assert hall.house.budget.used == 60
    with pytest.raises(Rejected, match="bytes in flight"):
        hall.enter(request(1.0))
    first.cancel()
    assert hall.house.budget.used == 0


def test_bytes_that_a_transport_reserved_are_given_back_once(hall: Hall) -> None:
    budget = hall.house.budget
    budget.reserve(8)
    hall.enter(request(1.0)._replace(reserved=True)).cancel()
    assert budget.used == 0
    budget.reserve(8)
    hall.room.close(Unavailable("no"))
    with pytest.raises(Unavailable):
        hall.enter(request(1.0)._replace(reserved=True))
    assert budget.used == 8, "whoever is refused keeps what it has"
    budget.release(8)


def test_one_whose_deadline_passes_is_told(hall: Hall) -> None:
    late = hall.enter(request(1.0, deadline=0.01))
    assert isinstance(late.error(), DeadlineExceeded)
    assert [type(error) for error in hall.failed] == [DeadlineExceeded]
    with pytest.raises(DeadlineExceeded):
        hall.enter(request(1.0, deadline=-1))


def test_a_deadline_goes_on_counting_where_it_is_handed_to(hall: Hall) -> None:
    executable = Scripted()
    executable.hold()
    late = hall.enter(request(1.0, deadline=0.05))
    hall.room.open(hall.serve(executable))
    assert isinstance(late.error(), DeadlineExceeded)
    executable.let_go()


def test_one_that_is_taken_back_is_never_run(hall: Hall) -> None:
    gone, stays = hall.enter(request(1.0, deadline=HOUR)), hall.enter(request(2.0))
    gone.cancel()
    gone.cancel()
    assert isinstance(gone.error(), Cancelled)
    executable = Scripted()
    hall.room.open(hall.serve(executable))
    assert stays.value() == 4.0
    assert executable.executed == [2.0]


def test_one_can_be_taken_back_after_it_was_handed_over(hall: Hall) -> None:
    executable = Scripted()
    executable.hold()
    running, queued = hall.enter(request(1.0)), hall.enter(request(2.0, width=3))
    hall.room.open(hall.serve(executable))
    assert executable.await_run() == [1.0]
    queued.cancel()
    assert isinstance(queued.error(), Cancelled)
    executable.let_go()
    assert running.value() == 2.0


def test_when_nothing_comes_all_are_told_and_later_ones_too(hall: Hall) -> None:
    waiting = [hall.enter(request(1.0)) for _ in range(3)]
    error = Unavailable("nothing comes")
    hall.room.close(error)
    assert [caller.error() for caller in waiting] == [error] * 3
    assert hall.failed == [error] * 3
    with pytest.raises(Unavailable, match="nothing comes"):
        hall.enter(request(1.0))


def test_what_is_wrong_with_a_request_is_told_when_it_is_handed_over(hall: Hall) -> None:
    wrong, odd, right = (hall.enter(each) for each in (request(1.0, rows=9, width=1), request(1.0), request(2.0)))
    odd.pending.request = odd.pending.request._replace(data=())
    hall.room.open(hall.serve())
    assert isinstance(wrong.error(), InvalidArgument)
    assert "unexpected IndexError" in str(odd.error())
    assert right.value() == 4.0


def test_one_who_finds_the_queue_full_is_told(hall: Hall) -> None:
    executable = Scripted()
    executable.hold()
    waiting = [hall.enter(request(1.0, width=n)) for n in (1, 2, 3, 4)]
    hall.room.open(hall.serve(executable, limit=2))
    executable.await_run()
    executable.let_go()
    outcomes = [caller.outcome() for caller in waiting]
    assert sum(isinstance(outcome, Rejected) for outcome in outcomes) in (1, 2)


def test_the_engine_sends_those_there_who_would_find_nothing(hall: Hall) -> None:
    engine = hall.house.engine
    engine.publish({"m": Served({}, None, frozenset({1, 2}), hall.room)}, ready=True)
    engine.lookup("m", None)
    engine.lookup("m", 2)
    with pytest.raises(Unavailable, match="version 1 is not at ready state"):
        engine.lookup("m", 1)
    assert not engine.model_ready("m", None)
    waiting = hall.house.infer(request(1.0))
    hall.room.open(hall.serve())
    assert waiting.value() == 2.0
    assert hall.house.infer(request(3.0)).value() == 6.0


def test_none_is_lost_or_answered_twice_while_everything_happens_at_once() -> None:
    with House() as house:
        for _ in range(20):
            room = WaitingRoom(2, 10_000, house.timer, house.budget, lambda _, __: None)
            executable = Scripted()
            version = house.serve(config(), [executable], number=2)
            callers = [Caller() for _ in range(200)]
            entered = [0]

            def come(callers: list[Caller] = callers, room: WaitingRoom = room, entered: list[int] = entered) -> None:
                for i, caller in enumerate(callers):
                    caller.pending = cast(Pending, room.submit(request(float(i), deadline=HOUR), caller))
                    entered[0] += 1

            def go(callers: list[Caller] = callers, entered: list[int] = entered) -> None:
                for i in range(0, len(callers), 3):
                    eventually(lambda i=i: entered[0] > i)  # type: ignore[misc]
                    callers[i].cancel()

            threads = [Thread(target=target) for target in (come, go, lambda v=version, r=room: r.open(v))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
            for i, caller in enumerate(callers):
                outcome = caller.outcome()
                assert isinstance(outcome, Cancelled) if i % 3 == 0 and isinstance(outcome, NaiadError) else True
                if i % 3:
                    assert caller.value() == 2.0 * i
            ran = [value for value in executable.executed if value % 3]
            assert ran == sorted(ran), "in the order in which they came"
            version.drain(lambda: None)
