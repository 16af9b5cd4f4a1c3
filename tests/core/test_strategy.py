"""Dynamic batching over instances, and replies that leave in the order in which their requests came."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from threading import Lock, Thread

import pytest

from naiad.core.config import ModelConfig
from naiad.core.errors import BackendError, Cancelled, Rejected
from naiad.core.pending import Pending
from naiad.core.strategy import ArrivalOrder, Batcher
from naiad.core.types import InferResponse, ResponseHead
from tests.core.house import ByHand, House, instances
from tests.core.scripted import PATIENCE, Caller, Scripted, config, request

ORDERED = config(max_batch_size=1, ordered=True)
ERROR = BackendError("bad row")
REPLY = InferResponse(ResponseHead("m", "1", ()), "", ())


def arrived(order: ArrivalOrder, count: int) -> list[Pending]:
    """Requests of a version that keeps no order itself."""
    by_hand = ByHand(config(), [Scripted()])
    pendings = [by_hand.infer(request(float(i))).pending for i in range(count)]
    for pending in pendings:
        order.arrived(pending)
    return pendings


def test_replies_are_held_back_until_all_earlier_ones_are_there() -> None:
    order = ArrivalOrder()
    first, second, third = arrived(order, 3)
    assert list(order.answered([(third, REPLY)])) == []
    assert list(order.answered([(second, ERROR)])) == []
    assert order.held == 2
    assert list(order.answered([(first, REPLY)])) == [
        (first, REPLY),
        (second, ERROR),
        (third, REPLY),
    ]
    assert order.held == 0


@pytest.mark.parametrize("gone", [0, 1])
def test_nothing_waits_for_a_request_that_was_given_up(gone: int) -> None:
    order = ArrivalOrder()
    pendings = arrived(order, 4)
    stays = pendings[1 - gone]
    third, fourth = pendings[2:]
    assert list(order.answered([(third, REPLY), (fourth, REPLY)])) == []
    if gone == 0:
        assert list(order.abandoned([pendings[0]])) == []
        assert [pending for pending, _ in order.answered([(stays, REPLY)])] == [stays, third, fourth]
    else:
        assert list(order.answered([(stays, REPLY)])) == [(stays, REPLY)]
        assert [pending for pending, _ in order.abandoned([pendings[1]])] == [third, fourth]


def test_giving_up_for_ever_behind_a_request_that_runs_does_not_grow_the_order() -> None:
    order = ArrivalOrder()
    head, *others = arrived(order, 500)
    for pending in others:
        order.abandoned([pending])
    assert len(order._waiting) + len(order._gone) <= 3
    assert [pending for pending, _ in order.answered([(head, ERROR)])] == [head]
    assert (len(order._waiting), len(order._gone)) == (0, 0)


def test_without_a_free_instance_nothing_is_ready() -> None:
    places = instances("m", [Scripted(), Scripted()])
    batcher = Batcher(config(max_batch_size=1), places, 10)
    by_hand = ByHand(config(), [Scripted()])
    for value in (1.0, 2.0, 3.0):
        batcher.submit(by_hand.infer(request(value)).pending)
    now = 1 << 62
    runs = [run for run, _ in (batcher.take(now, None), batcher.take(now, None)) if run is not None]
    assert {run.instance for run in runs} == set(places)
    assert batcher.ready_ns() is None
    assert batcher.take(now, None) == (None, ())
    batcher.release(places[0])
    assert batcher.ready_ns() is not None


def test_an_instance_that_asks_gets_its_own_run_or_none() -> None:
    places = instances("m", [Scripted(), Scripted()])
    batcher = Batcher(config(max_batch_size=1), places, 10)
    by_hand = ByHand(config(), [Scripted()])
    for value in (1.0, 2.0):
        batcher.submit(by_hand.infer(request(value)).pending)
    run, _ = batcher.take(1 << 62, places[0])
    assert run is not None
    assert run.instance is places[0]
    assert batcher.take(1 << 62, places[0]) == (None, ())
    assert len(batcher) == 1


def test_replies_that_are_held_back_are_bounded_like_the_queue() -> None:
    stuck, free = Scripted(), Scripted()
    by_hand = ByHand(ORDERED, [free, stuck], limit=2)
    callers = [by_hand.infer(request(1.0))]
    head = by_hand.take()
    for value in (2.0, 3.0):
        callers.append(by_hand.infer(request(value)))
        by_hand.run()
    with pytest.raises(Rejected, match=r"^\[request id: 4.0\] Exceeds maximum queue size$"):
        by_hand.infer(request(4.0))
    by_hand.version.execute(head)
    assert [caller.value() for caller in callers] == [2.0, 4.0, 6.0]
    by_hand.infer(request(5.0))
    by_hand.run()
    assert by_hand.clean


def test_replies_leave_in_order_when_a_later_run_ends_first() -> None:
    by_hand = ByHand(ORDERED, [Scripted(), Scripted()])
    one, two = by_hand.infer(request(1.0)), by_hand.infer(request(2.0))
    first, second = by_hand.take(), by_hand.take()
    by_hand.version.execute(second)
    assert not two.answered
    by_hand.version.execute(first)
    assert (one.value(), two.value()) == (2.0, 4.0)
    assert by_hand.clean


@pytest.mark.parametrize("model", [config(max_batch_size=1), replace(ORDERED, dynamic_batching=None)])
def test_replies_leave_as_their_runs_end_where_no_order_is_asked_for(model: ModelConfig) -> None:
    by_hand = ByHand(model, [Scripted(), Scripted()])
    one, two = by_hand.infer(request(1.0)), by_hand.infer(request(2.0))
    first, second = by_hand.take(), by_hand.take()
    by_hand.version.execute(second)
    assert (one.answered, two.value()) == (False, 4.0)
    by_hand.version.execute(first)
    assert one.value() == 2.0


def test_a_held_back_reply_is_counted_before_it_is_sent() -> None:
    """The run that lets it go is another one: its own run has booked it long before."""
    seen: list[int] = []
    by_hand = ByHand(ORDERED, [Scripted(), Scripted()])
    one = by_hand.infer(request(1.0))
    two = by_hand.infer(request(2.0), Caller(lambda: seen.append(by_hand.version.statistics().success.count)))
    first, second = by_hand.take(), by_hand.take()
    by_hand.version.execute(second)
    by_hand.version.execute(first)
    assert (one.value(), two.value()) == (2.0, 4.0)
    assert seen == [2]


def test_a_cancelled_head_lets_go_of_what_it_held_back() -> None:
    by_hand = ByHand(ORDERED, [Scripted(), Scripted()])
    head, second, third = (by_hand.infer(request(value)) for value in (1.0, 2.0, 3.0))
    stuck = by_hand.take()
    by_hand.run()
    by_hand.run()
    assert not second.answered
    head.cancel()
    assert isinstance(head.error(), Cancelled)
    assert (second.value(), third.value()) == (4.0, 6.0)
    by_hand.version.execute(stuck)
    assert len(head.replies) == 1
    assert by_hand.clean


def test_an_expired_head_in_the_queue_lets_go_of_what_it_held_back() -> None:
    by_hand = ByHand(ORDERED, [Scripted()])
    head, second = by_hand.infer(request(1.0, deadline=3600)), by_hand.infer(request(2.0))
    by_hand.version.expire(head.pending)
    by_hand.run()
    assert second.value() == 4.0
    assert by_hand.clean


class Transcript:
    """A responder of many calls that records the order in which replies were sent; its own sink."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.errors = 0

    @property
    def sink(self) -> Transcript:
        return self

    def send(self, outcome: object, final: bool) -> None:
        if isinstance(outcome, InferResponse):
            self.sent.append(outcome.id)
        else:
            self.errors += 1

    def flush(self) -> None: ...


class Interrupted(Transcript):
    """While its first reply is handed over, something else happens."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile: Callable[[], object] | None = meanwhile

    def send(self, outcome: object, final: bool) -> None:
        if (meanwhile := self._meanwhile) is not None:
            self._meanwhile = None
            meanwhile()
        super().send(outcome, final)


def test_a_reply_does_not_overtake_one_that_is_being_handed_over() -> None:
    by_hand = ByHand(ORDERED, [Scripted(), Scripted()])
    transcript = Interrupted(lambda: by_hand.version.execute(second))
    for value in (1.0, 2.0):
        by_hand.submit(request(value), transcript)
    first, second = by_hand.take(), by_hand.take()
    by_hand.version.execute(first)
    assert transcript.sent == ["1.0", "2.0"]
    assert by_hand.clean


class LateLock:
    """A lock whose holder is overtaken by something else when it is about to release it."""

    def __init__(self, before_release: Callable[[], object]) -> None:
        self._lock = Lock()
        self._before_release: Callable[[], object] | None = before_release

    def acquire(self, blocking: bool = True) -> bool:
        return self._lock.acquire(blocking)

    def release(self) -> None:
        if (before := self._before_release) is not None:
            self._before_release = None
            before()
        self._lock.release()


def test_a_reply_that_comes_when_another_thread_has_just_sent_its_last_is_not_left_behind() -> None:
    by_hand = ByHand(ORDERED, [Scripted(), Scripted()])
    one, two = by_hand.infer(request(1.0)), by_hand.infer(request(2.0))
    first, second = by_hand.take(), by_hand.take()
    by_hand.version._sending = LateLock(lambda: by_hand.version.execute(second))  # type: ignore[assignment]
    by_hand.version.execute(first)
    assert (one.value(), two.value()) == (2.0, 4.0)


@pytest.mark.usefixtures("switching_often")
@pytest.mark.parametrize("seed", range(3))
def test_replies_leave_in_order_whichever_thread_ends_first(seed: int) -> None:
    """Several instances and threads run, submissions are serialised, and every eighth request is cancelled."""
    chance = random.Random(seed)  # noqa: S311 - a test that can be repeated needs no secrets
    submitted: list[str] = []
    transcript, submitting = Transcript(), Lock()
    with House(most_threads=6) as house:
        house.serve(config(max_batch_size=2, ordered=True), [Scripted() for _ in range(4)], limit=100_000)

        def submit() -> None:
            for _ in range(100):
                with submitting:
                    wanted = request(float(len(submitted)))
                    submitted.append(wanted.id)
                    pending = house.engine.infer(wanted, transcript)
                if chance.random() < 0.125:
                    pending.cancel()

        threads = [Thread(target=submit) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert len(transcript.sent) + transcript.errors == len(submitted) == 300
    assert transcript.sent == sorted(transcript.sent, key=float)
