"""Requests through the whole core with its threads: cancelled, expired and failing ones beside their mates.

A run that is held makes every instance busy for as long as the test wants; what is answered meanwhile was answered
without it. Nothing is proved by how long it took.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import pytest

from naiad.core.config import QueuePolicy
from naiad.core.errors import BackendError, Cancelled, DeadlineExceeded, FailureReason, Rejected
from tests.core.house import House
from tests.core.scripted import HOUR, PATIENCE, Caller, Scripted, config, request


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
def house() -> Iterator[House]:
    with House() as house:
        yield house


def busy(house: House, scripted: Scripted) -> Caller:
    """A request that is held in its run."""
    scripted.hold()
    caller = house.infer(request(100.0))
    assert scripted.await_run() == [100.0]
    return caller


def test_a_caller_cancelled_in_the_middle_of_a_batch_is_told_once_and_its_mates_get_their_results(
    house: House, scripted: Scripted
) -> None:
    version = house.serve(config(), [scripted])
    head = busy(house, scripted)
    first, cancelled, last = (house.infer(request(value)) for value in (1.0, 2.0, 3.0))
    scripted.let_one_go()
    assert head.value() == 200.0
    assert scripted.await_run() == [1.0, 2.0, 3.0]
    cancelled.cancel()
    assert isinstance(cancelled.error(), Cancelled)
    assert not first.answered
    assert not last.answered
    scripted.let_go()
    assert (first.value(), last.value()) == (2.0, 6.0)
    assert len(cancelled.replies) == 1
    statistics = version.statistics()
    assert statistics.failures[FailureReason.CANCELLED] == statistics.fail.count == 1
    assert (statistics.success.count, statistics.inference_count) == (3, 4)


def test_one_that_fails_inside_a_batch_fails_alone_and_the_instance_goes_on(house: House, scripted: Scripted) -> None:
    scripted.fails[2.0] = BackendError("bad row")
    version = house.serve(config(), [scripted])
    busy(house, scripted)
    first, failing, last = (house.infer(request(value)) for value in (1.0, 2.0, 3.0))
    scripted.let_go()
    assert (first.value(), last.value()) == (2.0, 6.0)
    assert str(failing.error()) == "bad row"
    assert scripted.ran == [[100.0], [1.0, 2.0, 3.0]]
    assert house.infer(request(4.0)).value() == 8.0
    assert version.statistics().failures[FailureReason.BACKEND] == 1


def test_when_a_run_raises_all_are_told_nobody_hangs_and_the_instance_goes_on(house: House, scripted: Scripted) -> None:
    version = house.serve(config(), [scripted])
    head = busy(house, scripted)
    callers = [house.infer(request(value)) for value in (1.0, 2.0)]
    scripted.raises = RuntimeError("out of luck")
    scripted.let_go()
    for caller in (head, *callers):
        assert isinstance(caller.error(), BackendError)
        assert str(caller.error()) == "RuntimeError: out of luck"
    scripted.raises = None
    assert house.infer(request(3.0)).value() == 6.0
    assert version.statistics().failures[FailureReason.BACKEND] == 3


def test_a_request_cancelled_while_every_instance_is_busy_is_told_at_once_and_never_executed(
    house: House, scripted: Scripted
) -> None:
    house.serve(config(), [scripted], limit=1)
    head = busy(house, scripted)
    cancelled = house.infer(request(1.0))
    with pytest.raises(Rejected, match="Exceeds maximum queue size"):
        house.infer(request(2.0))
    cancelled.cancel()
    assert isinstance(cancelled.error(), Cancelled)
    after = house.infer(request(3.0))
    assert not head.answered
    scripted.let_go()
    assert after.value() == 6.0
    assert scripted.executed == [100.0, 3.0]


def test_a_deadline_is_answered_when_it_passes_while_every_instance_is_busy(house: House, scripted: Scripted) -> None:
    house.serve(config(), [scripted], limit=1)
    head = busy(house, scripted)
    late = house.infer(request(1.0, deadline=0.005))
    assert isinstance(late.error(), DeadlineExceeded)
    after = house.infer(request(2.0, deadline=HOUR))
    assert not head.answered
    scripted.let_go()
    assert after.value() == 4.0
    assert scripted.executed == [100.0, 2.0]


def test_a_queue_timeout_is_answered_when_it_passes_while_every_instance_is_busy(
    house: House, scripted: Scripted
) -> None:
    policy = QueuePolicy(default_timeout_microseconds=3_600_000_000, allow_timeout_override=True)
    version = house.serve(config(policy=policy), [scripted], limit=1)
    head = busy(house, scripted)
    late = house.infer(request(1.0, parameters={"timeout": 5000}))
    assert isinstance(late.error(), Rejected)
    assert str(late.error()) == "Request timeout expired"
    after = house.infer(request(2.0))
    assert not head.answered
    scripted.let_go()
    assert (head.value(), after.value()) == (200.0, 4.0)
    assert scripted.executed == [100.0, 2.0]
    assert version.statistics().failures[FailureReason.TIMEOUT] == 1


def test_a_deadline_that_passes_during_a_run_is_answered_then_and_counts_as_executed(
    house: House, scripted: Scripted
) -> None:
    version = house.serve(config(), [scripted])
    head = busy(house, scripted)
    late = house.infer(request(1.0, deadline=HOUR))
    mate = house.infer(request(2.0))
    scripted.let_one_go()
    assert head.value() == 200.0
    assert scripted.await_run() == [1.0, 2.0]
    late.pending.expire()
    assert isinstance(late.error(), DeadlineExceeded)
    assert not mate.answered
    scripted.let_go()
    assert mate.value() == 4.0
    assert len(late.replies) == 1
    assert version.statistics().inference_count == 3


def test_requests_of_alternating_shapes_wait_for_each_other_only_as_long_as_a_run(
    house: House, scripted: Scripted
) -> None:
    house.serve(config(), [scripted])
    busy(house, scripted)
    callers = [house.infer(request(float(i), width=1 + i % 2)) for i in range(6)]
    scripted.let_go()
    assert [caller.value() for caller in callers] == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert scripted.ran[1:] == [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]


def test_draining_waits_for_what_runs_and_what_waits(house: House, scripted: Scripted) -> None:
    version = house.serve(config(), [scripted])
    events: list[str] = []
    head = busy(house, scripted)
    last = Caller(lambda: events.append("answered"))
    house.infer(request(1.0), last)
    idle = Event()

    def on_idle() -> None:
        events.append("idle")
        idle.set()

    version.drain(on_idle)
    assert events == []
    scripted.let_go()
    assert idle.wait(PATIENCE)
    assert events == ["answered", "idle"]
    assert (head.value(), last.value()) == (200.0, 2.0)
