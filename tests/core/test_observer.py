"""Whoever observes hears of each answered request once, with what became of it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from naiad.core.engine import Engine
from naiad.core.errors import BackendError, Code, NaiadError
from naiad.core.observer import Answer
from naiad.core.types import InferRequest, Signature
from tests.core.house import ByHand, House
from tests.core.scripted import Caller, Scripted, config, eventually, request


class Heard:
    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.lists: list[int] = []

    def answered(self, answers: Sequence[Answer]) -> None:
        self.answers += answers
        self.lists.append(len(answers))

    def codes(self) -> dict[str, Code | None]:
        return {answer.request_id: answer.code for answer in self.answers}


def named(request_id: str, value: float = 1.0, rows: int = 1, model: str = "m") -> InferRequest:
    return request(value, rows=rows, model=model)._replace(id=request_id, trace_id=f"trace-{request_id}")


def test_a_batch_is_told_once_with_the_rows_and_times_of_each_request() -> None:
    heard, scripted = Heard(), Scripted()
    scripted.hold()
    with House(observer=heard) as house:
        house.serve(config(), [scripted])
        callers = [house.infer(named("head"))]
        scripted.await_run()
        callers += [house.infer(named("a", rows=2)), house.infer(named("b"))]
        scripted.let_go()
        for caller in callers:
            caller.value()
        eventually(lambda: len(heard.answers) == 3)
    assert heard.lists == [1, 2]
    a = next(answer for answer in heard.answers if answer.request_id == "a")
    assert a._replace(total_ns=0, queue_ns=0, compute_ns=0) == Answer("m", 1, "a", "trace-a", 2, 0, 0, 0, None, None)
    assert 0 < a.queue_ns < a.total_ns
    assert 0 < a.compute_ns < a.total_ns


def test_every_way_to_fail_is_told_with_its_code() -> None:
    heard, scripted = Heard(), Scripted()
    scripted.hold()
    with House(observer=heard) as house:
        house.serve(config(), [scripted], limit=2)
        head = house.infer(named("head"))
        scripted.await_run()
        cancelled = house.infer(named("cancelled"))
        failing = house.infer(named("failing"))
        for refused in (named("full"), named("wide", rows=99), named("lost", model="nobody")):
            with pytest.raises(NaiadError):
                house.engine.infer(refused, Caller())
        cancelled.pending.cancel()
        scripted.raises = BackendError("out of luck")
        scripted.let_go()
        assert isinstance(failing.error(), BackendError)
        assert isinstance(head.error(), BackendError)
        eventually(lambda: len(heard.answers) == 6)
    assert heard.codes() == {
        "head": Code.INTERNAL,
        "cancelled": Code.CANCELLED,
        "failing": Code.INTERNAL,
        "full": Code.UNAVAILABLE,
        "wide": Code.INVALID_ARGUMENT,
        "lost": Code.NOT_FOUND,
    }
    versions = {answer.request_id: answer.version for answer in heard.answers}
    assert versions["lost"] is None
    assert {versions[name] for name in versions if name != "lost"} == {1}


def test_what_failed_outside_of_the_engine_is_counted_and_told() -> None:
    heard = Heard()
    engine = Engine(heard)
    unread = InferRequest(Signature("nobody", None, ()), "7", (), 0, 0)
    engine.refused(BackendError("no"), unread)
    assert heard.codes() == {"7": Code.INTERNAL}
    assert sum(engine.unserved.values()) == 1


def test_a_request_that_ends_during_its_run_is_told_once() -> None:
    heard, scripted = Heard(), Scripted()
    scripted.hold()
    with House(observer=heard) as house:
        house.serve(config(), [scripted])
        cancelled = house.infer(named("cancelled"))
        scripted.await_run()
        cancelled.pending.cancel()
        scripted.let_go()
        after = house.infer(named("after"))
        after.value()
        eventually(lambda: len(heard.answers) >= 2)
    assert [(answer.request_id, answer.code) for answer in heard.answers] == [
        ("cancelled", Code.CANCELLED),
        ("after", None),
    ]


def test_a_request_that_ends_during_its_run_waited_until_it_was_taken_and_ran_since() -> None:
    heard, scripted = Heard(), Scripted()
    by_hand = ByHand(config(), [scripted], observer=heard)
    caller = by_hand.infer(named("late"))
    queued_ns = caller.pending.queued_ns
    by_hand.take()
    taken_ns = caller.pending.taken_ns
    caller.cancel()
    (answer,) = heard.answers
    assert answer.queue_ns == taken_ns - queued_ns
    assert answer.compute_ns == answer.total_ns - (taken_ns - caller.pending.request.received_ns) > 0


def test_nobody_waits_less_than_no_time() -> None:
    """A runner reads the clock, waits for the lock, and takes what came meanwhile too."""
    heard = Heard()
    by_hand = ByHand(config(), [Scripted()], observer=heard)
    by_hand.infer(named("first"))
    read_ns = time.monotonic_ns()
    by_hand.infer(named("second"))
    run = by_hand.look(read_ns).run
    assert run is not None
    by_hand.version.execute(run)
    statistics = by_hand.version.statistics()
    assert [answer.request_id for answer in heard.answers] == ["first", "second"]
    assert min(answer.queue_ns for answer in heard.answers) >= 0
    assert statistics.queue.ns == statistics.queue_ns.total == sum(answer.queue_ns for answer in heard.answers)
