"""How requests end, on a version that the test runs by hand: each step happens exactly when the test takes it."""

from __future__ import annotations

import gc
from time import monotonic
from weakref import ref

import pytest

from naiad.core.config import QueuePolicy
from naiad.core.errors import (
    BackendError,
    Cancelled,
    DeadlineExceeded,
    ExecutableLost,
    FailureReason,
    InvalidArgument,
    Rejected,
)
from naiad.core.pending import Pending, State
from tests.core.house import ByHand, one
from tests.core.scripted import HOUR, Scripted, config, request


def test_a_caller_cancelled_in_the_middle_of_a_batch_costs_its_mates_nothing() -> None:
    scripted = Scripted()
    by_hand = one(scripted)
    first, cancelled, last = (by_hand.infer(request(value)) for value in (1.0, 2.0, 3.0))
    run = by_hand.take()
    cancelled.cancel()
    assert isinstance(cancelled.error(), Cancelled)
    assert not first.answered
    by_hand.version.execute(run)
    assert (first.value(), last.value()) == (2.0, 6.0)
    assert len(cancelled.replies) == 1
    assert scripted.ran == [[1.0, 2.0, 3.0]]
    statistics = by_hand.version.statistics()
    assert statistics.failures[FailureReason.CANCELLED] == statistics.fail.count == 1
    assert (statistics.success.count, statistics.inference_count) == (2, 3)
    assert by_hand.clean


def test_a_cancelled_request_holds_its_lease_and_bytes_until_its_run_ends() -> None:
    by_hand = one()
    caller = by_hand.infer(request(1.0))
    run = by_hand.take()
    caller.cancel()
    assert by_hand.version.leases == 1
    assert by_hand.budget.used == caller.pending.request.nbytes
    by_hand.version.execute(run)
    assert by_hand.clean


@pytest.mark.parametrize("requests", [1, 3])
def test_one_that_fails_inside_a_batch_fails_alone(requests: int) -> None:
    scripted = Scripted()
    scripted.fails[1.0] = BackendError("bad row")
    by_hand = one(scripted)
    failed, *mates = (by_hand.infer(request(float(value))) for value in range(1, requests + 1))
    by_hand.run()
    assert str(failed.error()) == "bad row"
    assert [mate.value() for mate in mates] == [4.0, 6.0][: requests - 1]
    assert by_hand.version.statistics().failures[FailureReason.BACKEND] == 1
    assert by_hand.clean


@pytest.mark.parametrize(
    ("raised", "kind", "text"),
    [
        (RuntimeError("out of luck"), BackendError, "RuntimeError: out of luck"),
        (InvalidArgument("too long"), InvalidArgument, "too long"),
    ],
)
def test_when_a_run_raises_all_are_told_and_the_instance_goes_on(
    raised: Exception, kind: type[Exception], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    scripted = Scripted()
    scripted.raises = raised
    by_hand = one(scripted)
    callers = [by_hand.infer(request(value)) for value in (1.0, 2.0)]
    by_hand.run()
    assert [(type(caller.error()), str(caller.error())) for caller in callers] == [(kind, text)] * 2
    assert ("instance m_0 failed in a run of 2 requests" in caplog.text) == isinstance(raised, RuntimeError)
    scripted.raises = None
    after = by_hand.infer(request(3.0))
    by_hand.run()
    assert after.value() == 6.0
    assert by_hand.clean


def test_an_instance_whose_executable_is_lost_is_not_used_again_and_the_others_are() -> None:
    lost, sound = Scripted(), Scripted()
    lost.raises = sound.raises = ExecutableLost("the worker died")
    by_hand = ByHand(config(max_batch_size=1), [lost, sound])
    caller, answered = by_hand.infer(request(1.0)), by_hand.infer(request(2.0))
    by_hand.run()
    assert str(caller.error()) == "the worker died"
    lost.raises = sound.raises = None
    run = by_hand.take()
    waits = by_hand.infer(request(3.0))
    assert by_hand.look().run is None
    by_hand.version.execute(run)
    assert answered.value() == 4.0
    waits.cancel()
    assert by_hand.clean


def test_a_request_cancelled_in_the_queue_is_never_executed_and_frees_its_place_at_once() -> None:
    scripted = Scripted()
    by_hand = ByHand(config(), [scripted], limit=2)
    cancelled, stays = by_hand.infer(request(1.0)), by_hand.infer(request(2.0))
    cancelled.cancel()
    assert isinstance(cancelled.error(), Cancelled)
    assert (by_hand.version.leases, by_hand.budget.used) == (1, stays.pending.request.nbytes)
    by_hand.infer(request(3.0))
    by_hand.run()
    assert scripted.executed == [2.0, 3.0]
    assert by_hand.clean


def test_cancelling_again_or_after_the_answer_changes_nothing() -> None:
    by_hand = one()
    cancelled, answered = by_hand.infer(request(1.0)), by_hand.infer(request(2.0))
    cancelled.cancel()
    by_hand.run()
    for caller in (cancelled, answered):
        caller.cancel()
        caller.pending.expire()
    assert isinstance(cancelled.error(), Cancelled)
    assert answered.value() == 4.0
    assert by_hand.version.statistics().fail.count == 1


def test_a_request_that_ended_in_the_queue_lets_go_of_its_tensors() -> None:
    """The queue may keep the entry until it comes to the front; the bytes were given back to the budget."""
    by_hand = one()
    by_hand.infer(request(1.0))
    cancelled = by_hand.infer(request(2.0))
    array = ref(cancelled.pending.request.data[0])
    cancelled.cancel()
    gc.collect()
    assert array() is None
    assert cancelled.pending.state is State.DONE


def test_a_deadline_that_passes_in_the_queue_is_told_and_the_request_never_executed() -> None:
    scripted = Scripted()
    by_hand = one(scripted)
    late = by_hand.infer(request(1.0, deadline=HOUR))
    late.pending.expire()
    assert isinstance(late.error(), DeadlineExceeded)
    assert by_hand.look().run is None
    assert scripted.ran == []
    assert by_hand.clean


def test_a_deadline_that_passes_during_the_run_drops_the_result() -> None:
    scripted = Scripted()
    by_hand = one(scripted)
    late, mate = by_hand.infer(request(1.0, deadline=HOUR)), by_hand.infer(request(2.0))
    run = by_hand.take()
    late.pending.expire()
    assert isinstance(late.error(), DeadlineExceeded)
    by_hand.version.execute(run)
    assert mate.value() == 4.0
    assert len(late.replies) == 1
    assert scripted.ran == [[1.0, 2.0]]
    assert by_hand.clean


def test_what_a_take_finds_expired_is_answered_and_its_mates_run() -> None:
    scripted = Scripted()
    by_hand = one(scripted)
    late, mate = by_hand.infer(request(1.0, deadline=HOUR)), by_hand.infer(request(2.0))
    run = by_hand.look(int((monotonic() + 2 * HOUR) * 1e9)).run
    assert run is not None
    assert isinstance(late.error(), DeadlineExceeded)
    by_hand.version.execute(run)
    assert mate.value() == 4.0
    assert scripted.executed == [2.0]
    assert by_hand.clean


def test_a_deadline_that_is_over_already_is_refused_at_once() -> None:
    by_hand = one()
    with pytest.raises(DeadlineExceeded, match=r"^Deadline Exceeded$"):
        by_hand.infer(request(1.0, deadline=-1.0))
    assert by_hand.clean


QUEUE_TIMEOUT = QueuePolicy(default_timeout_microseconds=60_000_000)


def test_a_queue_timeout_is_told_as_such() -> None:
    by_hand = one(policy=QUEUE_TIMEOUT)
    late = by_hand.infer(request(1.0, deadline=HOUR))
    late.pending.expire()
    assert isinstance(late.error(), Rejected)
    assert str(late.error()) == "Request timeout expired"
    assert by_hand.version.statistics().failures[FailureReason.TIMEOUT] == 1
    assert by_hand.clean


def test_a_deadline_before_the_queue_timeout_is_told_as_the_deadline() -> None:
    by_hand = one(policy=QUEUE_TIMEOUT)
    late = by_hand.infer(request(1.0, deadline=30.0))
    late.pending.expire()
    assert isinstance(late.error(), DeadlineExceeded)


@pytest.mark.parametrize("deadline", [None, HOUR])
def test_a_queue_timeout_does_not_count_once_the_request_runs(deadline: float | None) -> None:
    by_hand = one(policy=QUEUE_TIMEOUT)
    caller = by_hand.infer(request(1.0, deadline=deadline))
    run = by_hand.take()
    by_hand.timer.discard([caller.pending])
    caller.pending.expire()
    assert not caller.answered
    assert len(by_hand.timer) == (0 if deadline is None else 1)
    by_hand.version.execute(run)
    assert caller.value() == 2.0
    assert by_hand.clean


def test_the_deadline_still_counts_after_the_queue_timeout_passed_during_the_run() -> None:
    by_hand = one(policy=QUEUE_TIMEOUT)
    caller = by_hand.infer(request(1.0, deadline=HOUR))
    run = by_hand.take()
    by_hand.timer.discard([caller.pending])
    caller.pending.expire()
    caller.pending.expire()
    assert isinstance(caller.error(), DeadlineExceeded)
    by_hand.version.execute(run)
    assert by_hand.version.leases == 0


def test_a_request_is_either_taken_or_timed_out_never_both() -> None:
    """A runner takes as soon as the lock is free, wherever `expire` may give it up."""
    scripted = Scripted()
    by_hand = one(scripted, policy=QUEUE_TIMEOUT)
    caller = by_hand.infer(request(1.0))
    lock = by_hand.version._lock

    class Taking:
        def __enter__(self) -> None:
            lock.acquire()

        def __exit__(self, *_: object) -> None:
            lock.release()
            by_hand.version._lock = lock
            if (run := by_hand.look().run) is not None:
                by_hand.version.execute(run)

    by_hand.version._lock = Taking()  # type: ignore[assignment]
    caller.pending.expire()
    assert isinstance(caller.error(), Rejected)
    assert scripted.executed == []
    assert by_hand.clean


def test_a_timeout_may_pass_and_the_run_end_before_the_timer_knows_the_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_hand = one(policy=QUEUE_TIMEOUT)

    def add(pending: Pending) -> None:
        run = by_hand.take()
        pending.expire()
        by_hand.version.execute(run)

    monkeypatch.setattr(by_hand.timer, "add", add)
    assert by_hand.infer(request(1.0)).value() == 2.0
    assert by_hand.clean


def test_a_request_that_ends_before_the_timer_knows_it_leaves_nothing_there(monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand = one()
    add = by_hand.timer.add

    def add_late(pending: Pending) -> None:
        by_hand.run()
        add(pending)

    monkeypatch.setattr(by_hand.timer, "add", add_late)
    assert by_hand.infer(request(1.0, deadline=HOUR)).value() == 2.0
    assert by_hand.clean


def test_a_full_queue_refuses_with_the_protocols_text() -> None:
    by_hand = ByHand(config(), [Scripted()], limit=1)
    by_hand.infer(request(1.0))
    with pytest.raises(Rejected, match=r"^\[request id: 2.0\] Exceeds maximum queue size$"):
        by_hand.infer(request(2.0))
    assert by_hand.version.leases == 1
