"""The pool: who runs what, who waits meanwhile, and how many threads there are.

A version's `average_ns` is set by the test, so that it counts as short or long from its first run on. What a held
run leaves possible is shown by what is answered while it is still held.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event, Thread

import pytest

from naiad.core import runners
from tests.core.house import House
from tests.core.pools import LONG, SHORT, Watched, ask, serve, small
from tests.core.scripted import PATIENCE, eventually


@pytest.fixture
def waiter() -> Watched:
    return Watched()


@pytest.fixture
def house(waiter: Watched) -> Iterator[House]:
    with House(waiter=waiter) as house:
        yield house
    assert house.pool.threads == 0


def test_short_runs_run_on_the_thread_that_waits(house: House, waiter: Watched) -> None:
    short = serve(house, "short", SHORT)
    leaders = []
    for _ in range(5):
        leaders.append(waiter.await_leader())
        ask(house, "short").value()
    assert short.threads == leaders
    assert len(set(leaders)) == 1
    assert house.pool.threads == 1


@pytest.mark.parametrize("average_ns", [LONG, None])
def test_before_a_run_that_is_not_known_to_be_short_another_thread_leads(
    house: House, waiter: Watched, average_ns: float | None
) -> None:
    long, short = serve(house, "long", average_ns), serve(house, "short", SHORT)
    first = waiter.await_leader()
    long.hold()
    held = ask(house, "long")
    long.await_run()
    second = waiter.await_leader()
    assert ask(house, "short").value() == 2.0
    assert not held.answered
    long.let_go()
    held.value()
    assert (long.threads, short.threads) == ([first], [second])


def test_the_last_free_thread_never_takes_a_long_run() -> None:
    with small(2) as house:
        long, other = serve(house, "long", LONG, 2), serve(house, "other", LONG)
        serve(house, "short", SHORT)
        long.hold()
        held = [ask(house, "long"), ask(house, "long")]
        for _ in held:
            long.await_run()
        waits = ask(house, "other")
        for _ in range(3):
            assert ask(house, "short").value() == 2.0
        assert other.ran == []
        assert house.pool.threads == 3
        long.let_one_go()
        assert waits.value() == 2.0
        assert sum(caller.answered for caller in held) <= 1


def test_a_long_version_lets_those_go_first_that_wait_for_a_thread() -> None:
    with small(1) as house:
        long, short = serve(house, "long", LONG), serve(house, "short", SHORT)
        serve(house, "other", LONG)
        long.hold()
        mine = [ask(house, "long", value) for value in (1.0, 2.0, 3.0)]
        long.await_run()
        waits = ask(house, "other")
        assert ask(house, "short").value() == 2.0
        long.let_one_go()
        assert waits.value() == 2.0
        long.await_run()
        assert len(long.ran) == 2
        assert not mine[1].answered
        long.let_go()
        assert mine[2].value() == 6.0
        assert short.ran == [[1.0]]


def test_the_lead_is_taken_from_a_thread_that_is_stuck_in_a_run_that_used_to_be_short(
    house: House, waiter: Watched
) -> None:
    stuck, short = serve(house, "stuck", SHORT), serve(house, "short", SHORT)
    first = waiter.await_leader()
    stuck.hold()
    held = ask(house, "stuck")
    stuck.await_run()
    assert ask(house, "short").value() == 2.0
    assert not held.answered
    stuck.let_go()
    held.value()
    assert stuck.threads == [first]
    assert first not in short.threads
    assert house.pool.threads == 2


def test_the_lead_is_taken_once_however_long_a_thread_is_stuck(house: House, waiter: Watched) -> None:
    stuck = serve(house, "stuck", SHORT)
    first = waiter.await_leader()
    stuck.hold()
    held = ask(house, "stuck")
    stuck.await_run()
    assert waiter.await_leader() != first
    eventually(lambda: len(house.timer) == 0)
    assert house.pool.threads == 2
    assert not held.answered


def test_the_watchdog_rests_while_there_is_no_work_and_comes_back_with_it(house: House) -> None:
    stuck, short = serve(house, "stuck", SHORT), serve(house, "short", SHORT)
    ask(house, "short").value()
    eventually(lambda: len(house.timer) == 0)
    stuck.hold()
    held = ask(house, "stuck")
    stuck.await_run()
    assert ask(house, "short").value() == 2.0
    assert not held.answered
    assert len(short.ran) == 2


def test_a_leader_that_was_stuck_lists_what_its_run_left_behind(house: House) -> None:
    """It no longer leads, so nobody would look at the list unless it kicks."""
    stuck, short = serve(house, "stuck", SHORT), serve(house, "short", SHORT)
    stuck.hold()
    held = ask(house, "stuck")
    stuck.await_run()
    behind = ask(house, "stuck", 2.0)
    assert ask(house, "short").value() == 2.0
    stuck.let_go()
    assert (held.value(), behind.value()) == (2.0, 4.0)
    assert short.ran == [[1.0]]


@pytest.mark.parametrize(("most", "instances", "running"), [(3, 5, 3), (6, 2, 2)])
def test_there_are_no_more_threads_than_run_at_the_same_time_and_one_that_leads(
    most: int, instances: int, running: int
) -> None:
    with small(most) as house:
        long = serve(house, "long", LONG, instances)
        serve(house, "short", SHORT)
        long.hold()
        callers = [ask(house, "long", float(value)) for value in range(10)]
        for _ in range(running):
            long.await_run()
        ask(house, "short").value()
        assert len(long.ran) == running
        assert house.pool.threads == running + 1
        long.let_go()
        assert [caller.value() for caller in callers] == [2.0 * value for value in range(10)]


def test_threads_that_the_watchdog_added_go_when_they_are_too_many() -> None:
    with small(1) as house:
        stuck = [serve(house, f"stuck{i}", SHORT) for i in range(4)]
        held = []
        for i, executable in enumerate(stuck):
            executable.hold()
            held.append(ask(house, f"stuck{i}"))
            executable.await_run()
        assert house.pool.threads >= 4
        for executable, caller in zip(stuck, held, strict=True):
            executable.let_go()
            assert caller.value() == 2.0
        eventually(lambda: house.pool.threads == 2)


def test_two_instances_of_a_version_run_at_the_same_time(house: House) -> None:
    long = serve(house, "long", LONG, 2)
    long.hold()
    callers = [ask(house, "long", value) for value in (1.0, 2.0)]
    assert sorted([long.await_run(), long.await_run()]) == [[1.0], [2.0]]
    assert not any(caller.answered for caller in callers)
    long.let_go()
    assert [caller.value() for caller in callers] == [2.0, 4.0]


def test_a_leader_looks_at_the_wire_between_short_runs_that_never_end(house: House, waiter: Watched) -> None:
    """Each run submits the next one, until the wire was looked at three times in between."""
    short = serve(house, "short", SHORT)
    over = Event()
    waiter.await_leader()
    before = waiter.timeouts.count(0)

    def again() -> None:
        if waiter.timeouts.count(0) < before + 3:
            ask(house, "short")
        else:
            over.set()

    short.work = again
    ask(house, "short")
    assert over.wait(PATIENCE), "the wire starved"


@pytest.mark.parametrize("average_ns", [SHORT, None])
def test_a_delay_ends_with_the_leaders_wait(house: House, waiter: Watched, average_ns: float | None) -> None:
    """Nothing else happens that could wake it."""
    short = serve(house, "short", average_ns, delay_us=2000)
    assert ask(house, "short").value() == 2.0
    assert all(timeout is None or timeout <= 0.002 for timeout in waiter.timeouts)
    assert house.versions[0].statistics().queue.ns >= 2_000_000
    assert short.ran == [[1.0]]


def test_a_delay_that_another_thread_learns_of_ends_too(house: House, waiter: Watched) -> None:
    """It runs the batch before; the leader sleeps by then and knows of no delay."""
    long = serve(house, "long", LONG, delay_us=2000)
    long.hold()
    first = ask(house, "long")
    long.await_run()
    eventually(lambda: waiter.asleep == house.pool._leader != 0)
    second = ask(house, "long", 2.0)
    assert waiter.asleep
    long.let_go()
    assert (first.value(), second.value()) == (2.0, 4.0)


def test_the_earliest_of_several_delays_ends_first(house: House) -> None:
    early, late = serve(house, "early", SHORT, delay_us=2000), serve(house, "late", SHORT, delay_us=60_000_000)
    waits = ask(house, "late")
    assert ask(house, "early").value() == 2.0
    assert not waits.answered
    assert ask(house, "late", 2.0).value() == 4.0, "two make a full batch"
    assert (early.ran, late.ran) == ([[1.0]], [[1.0, 2.0]])


def test_a_long_run_goes_on_where_no_further_thread_can_be_started(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Refused(Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    serve(house, "long", LONG)
    monkeypatch.setattr(runners, "Thread", Refused)
    assert ask(house, "long").value() == 2.0
    assert house.pool.threads == 1
    assert "no further runner could be started beside 1" in caplog.text
