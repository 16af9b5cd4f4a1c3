"""How a version tells its runners, drains and closes, and in which order it books and answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from naiad.core.errors import Draining, ExecutableLost, FailureReason, InvalidArgument, Unavailable
from naiad.core.types import InferRequest
from naiad.core.version import PLANS_REMEMBERED, _moved
from tests.core.house import ByHand, House, one
from tests.core.scripted import HOUR, Caller, Scripted, config, request


def test_runners_are_told_once_until_they_take() -> None:
    by_hand = one()
    by_hand.infer(request(1.0))
    by_hand.infer(request(2.0))
    assert by_hand.listed == 1
    run = by_hand.take()
    by_hand.infer(request(3.0))
    assert by_hand.listed == 1, "the only instance is busy"
    assert by_hand.version.execute(run), "the next batch is due"
    by_hand.infer(request(4.0))
    assert by_hand.listed == 1, "whoever executed takes it"
    assert not by_hand.version.execute(by_hand.take())


def test_a_take_that_leaves_due_work_and_a_free_instance_behind_says_so() -> None:
    by_hand = ByHand(config(max_batch_size=1), [Scripted(), Scripted()])
    for value in (1.0, 2.0, 3.0):
        by_hand.infer(request(value))
    first, second = by_hand.look(), by_hand.look()
    assert (first.again, second.again) == (True, False)
    assert by_hand.look().run is None


def test_runners_are_told_of_a_delay_once_and_of_a_full_batch_at_once() -> None:
    by_hand = one(max_batch_size=2, delay_us=60_000_000)
    first = by_hand.infer(request(1.0))
    looked = by_hand.look()
    assert (looked.run, looked.again, looked.due_ns) == (None, False, first.pending.queued_ns + 60_000_000_000)
    assert by_hand.look().due_ns == looked.due_ns
    assert by_hand.listed == 1
    by_hand.infer(request(2.0))
    assert by_hand.listed == 2
    by_hand.run()
    assert first.value() == 2.0


def test_an_instances_own_thread_is_told_of_a_delay_each_time_it_asks() -> None:
    by_hand = one(delay_us=60_000_000)
    by_hand.infer(request(1.0))
    (instance,) = by_hand.version.instances
    due = {by_hand.version.take(0, instance).due_ns for _ in range(2)}
    assert due == {by_hand.version.take(0, instance).due_ns}
    assert None not in due


def test_draining_refuses_what_is_new_and_waits_for_the_last_lease() -> None:
    idle: list[str] = []
    by_hand = one()
    caller = by_hand.infer(request(1.0))
    run = by_hand.take()
    by_hand.version.drain(lambda: idle.append("now"))
    with pytest.raises(Draining, match=r"^Request for unknown model: 'm' version 1 is not at ready state$"):
        by_hand.infer(request(2.0))
    assert idle == []
    by_hand.version.execute(run)
    assert (caller.value(), idle) == (2.0, ["now"])


def test_draining_an_idle_version_is_over_at_once() -> None:
    idle: list[str] = []
    one().version.drain(lambda: idle.append("now"))
    assert idle == ["now"]


@pytest.mark.parametrize("how", ["cancel", "expire", "take"])
def test_the_last_lease_may_end_early(how: str) -> None:
    idle: list[str] = []
    by_hand = one()
    caller = by_hand.infer(request(1.0, deadline=HOUR))
    by_hand.version.drain(lambda: idle.append("now"))
    if how == "take":
        by_hand.look(1 << 62)
    else:
        getattr(caller.pending, how)()
    assert (caller.answered, idle) == (True, ["now"])


def test_whoever_waits_for_idleness_hears_of_it_after_the_last_answer() -> None:
    events: list[str] = []
    by_hand = one()
    by_hand.infer(request(1.0), Caller(lambda: events.append("flush")))
    run = by_hand.take()
    by_hand.version.drain(lambda: events.append("idle"))
    by_hand.version.execute(run)
    assert events == ["flush", "idle"]


def test_aborting_ends_what_waits_and_leaves_what_runs() -> None:
    idle: list[str] = []
    by_hand = one(max_batch_size=1)
    runs, waits = by_hand.infer(request(1.0)), by_hand.infer(request(2.0))
    run = by_hand.take()
    by_hand.version.drain(lambda: idle.append("now"))
    by_hand.version.abort(Unavailable("Server exiting"))
    assert str(waits.error()) == "Server exiting"
    assert idle == []
    by_hand.version.execute(run)
    assert (runs.value(), idle) == (2.0, ["now"])
    assert by_hand.clean


def test_closing_gives_back_runners_and_each_executable_once() -> None:
    shared, own = Scripted(), Scripted()
    by_hand = ByHand(config(), [shared, shared, own])
    assert by_hand.attached == 1
    by_hand.version.close()
    assert (shared.closed, own.closed, by_hand.attached) == (1, 1, 0)


def test_statistics_are_booked_before_the_flush() -> None:
    seen: list[tuple[int, int]] = []
    by_hand = one()

    def look() -> None:
        statistics = by_hand.version.statistics()
        seen.append((statistics.success.count, statistics.failures[FailureReason.CANCELLED]))

    by_hand.infer(request(1.0), Caller(look)).cancel()
    by_hand.infer(request(2.0), Caller(look))
    by_hand.run()
    assert seen == [(0, 1), (1, 1)]


def test_a_reply_is_counted_before_a_shared_sink_can_send_it() -> None:
    """Another batch of the same transport may flush as soon as a reply is handed over."""
    by_hand = one()
    counted: list[int] = []

    class Eager(Caller):
        def send(self, outcome: object, final: bool) -> None:
            counted.append(by_hand.version.statistics().success.count)

    by_hand.infer(request(1.0), Eager())
    by_hand.infer(request(2.0), Eager())
    by_hand.run()
    assert counted == [2, 2]


def test_each_sink_is_flushed_once_per_batch() -> None:
    flushes: list[str] = []
    transport = Caller(lambda: flushes.append("flush"))
    by_hand = one()
    for value in (1.0, 2.0, 3.0):
        by_hand.infer(request(value), transport)
    by_hand.run()
    assert (len(transport.replies), flushes) == (3, ["flush"])


def interned(value: float) -> InferRequest:
    wanted = request(value)
    return wanted._replace(signature=replace(wanted.signature, interned=True))


def test_a_signature_seen_before_is_not_validated_again_and_the_oldest_are_forgotten() -> None:
    by_hand = one()
    wanted = interned(1.0)
    pendings = [by_hand.infer(wanted).pending for _ in range(2)]
    assert pendings[0].plan is pendings[1].plan
    with pytest.raises(InvalidArgument, match="input byte size mismatch"):
        by_hand.infer(wanted._replace(data=(np.zeros(1, np.float32),)))
    for _ in range(PLANS_REMEMBERED):
        by_hand.version._learn(interned(1.0))
    assert len(by_hand.version._plans) == PLANS_REMEMBERED
    assert wanted.signature not in by_hand.version._plans


def test_a_signature_that_no_codec_keeps_is_not_remembered() -> None:
    """It may be as large as a message, and there may be any number of them."""
    by_hand = one()
    wanted = request(1.0, parameters={"note": "x" * 10_000})
    by_hand.infer(wanted)
    assert wanted.signature not in by_hand.version._plans


def test_the_last_instance_that_is_lost_ends_what_waits_and_closes_the_version() -> None:
    scripted = Scripted()
    scripted.raises = ExecutableLost("gone")
    by_hand = one(scripted)
    running = by_hand.infer(request(1.0))
    run = by_hand.take()
    waiting = by_hand.infer(request(2.0))
    by_hand.version.execute(run)
    assert str(running.error()) == "gone"
    assert str(waiting.error()) == "model 'm' version 1 has lost every instance"
    assert isinstance(waiting.error(), Unavailable)
    with pytest.raises(Draining):
        by_hand.infer(request(3.0))
    assert by_hand.clean


def test_the_moving_average_follows_runs_and_is_not_thrown_off_by_one_stall() -> None:
    assert _moved(None, 100) == 100
    assert _moved(100.0, 50) == 90.0
    assert _moved(100.0, 300) == 140.0
    assert _moved(100.0, 1_000_000) == 160.0


def test_a_house_gives_everything_back() -> None:
    """The harness itself: what it serves is closed when it ends."""
    scripted = Scripted()
    with House() as house:
        version = house.serve(config(), [scripted])
        assert house.infer(request(1.0)).value() == 2.0
    assert (scripted.closed, version.leases) == (1, 0)
