"""The pool beside its models: mistakes in its own code, its end, its watchdog's and delays' bookkeeping."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event, Thread
from time import monotonic_ns

import pytest

from naiad.core.runners import RunnerPool
from naiad.core.timer import Timer
from naiad.core.version import Next
from naiad.core.waiter import ConditionWaiter
from tests.core.pools import LONG, SHORT, Failing, Job, small
from tests.core.scripted import PATIENCE, Scripted, config, eventually


def test_a_look_at_a_run_that_is_still_young_is_followed_by_another() -> None:
    timer = Timer()
    pool = RunnerPool(ConditionWaiter(), timer)
    pool._inline_since = monotonic_ns() + 1_000_000_000_000
    pool.look()
    assert (len(timer), pool._epoch) == (1, 0)


def test_two_threads_that_arm_the_watchdog_plan_one_look() -> None:
    timer = Timer()
    pool = RunnerPool(ConditionWaiter(), timer)
    pool._watch()
    pool._watch()
    assert len(timer) == 1


@pytest.fixture
def pool() -> Iterator[RunnerPool]:
    timer = Timer()
    timer.start()
    pool = RunnerPool(ConditionWaiter(), timer, 2)
    pool.start()
    yield pool
    pool.stop()
    timer.stop()


def test_an_earlier_time_takes_the_place_of_a_later_one_and_not_the_other_way() -> None:
    """The threads are left out: times are handed in."""
    pool, version = RunnerPool(ConditionWaiter(), Timer()), Job(SHORT, lambda: None)
    for due_ns in (300, 100, 200):
        pool._schedule(version, Next(None, due_ns=due_ns))
    assert len(pool._delayed) == 2
    pool._move_due(99)
    assert not pool._ready
    for now_ns in (100, 200, 300):
        pool._move_due(now_ns)
        assert list(pool._ready) == [version]
    assert not pool._delayed
    assert not pool._due


@pytest.mark.parametrize("average_ns", [SHORT, LONG])
def test_a_run_that_ends_in_an_error_of_the_server_is_logged_and_the_next_one_runs(
    pool: RunnerPool, average_ns: float, caplog: pytest.LogCaptureFixture
) -> None:
    ran = Event()
    runs: list[str] = []

    def run() -> None:
        runs.append("run")
        if len(runs) == 1:
            raise RuntimeError("a mistake of the server")
        ran.set()

    pool.list(Job(average_ns, run, due=2))
    assert ran.wait(PATIENCE)
    assert "a run of 0 requests ended in an error of the server" in caplog.text


@pytest.mark.parametrize("average_ns", [SHORT, LONG])
def test_a_pool_outlives_a_mistake_in_its_own_code(
    pool: RunnerPool, average_ns: float, caplog: pytest.LogCaptureFixture
) -> None:
    ran = Event()
    pool.list(Failing(average_ns, lambda: None))
    for _ in range(3):
        ran.clear()
        pool.list(Job(SHORT, ran.set))
        assert ran.wait(PATIENCE)
    eventually(lambda: "a runner failed" in caplog.text)


def test_a_thread_outlives_a_mistake_while_it_runs_what_waited_for_it(caplog: pytest.LogCaptureFixture) -> None:
    with small(1) as house:
        pool, held, entered = house.pool, Event(), Event()

        def hold() -> None:
            entered.set()
            assert held.wait(PATIENCE)

        pool.list(Job(LONG, hold))
        assert entered.wait(PATIENCE)
        pool.list(Failing(LONG, lambda: None))
        eventually(lambda: len(pool._long) == 1)
        held.set()
        ran = Event()
        pool.list(Job(LONG, ran.set))
        assert ran.wait(PATIENCE)
    assert pool.threads == 0
    assert "a runner failed" in caplog.text


def test_a_pool_that_stops_runs_what_it_took_and_nothing_that_waits_for_a_thread() -> None:
    house = small(1)
    with house:
        pool, held, entered, ran = house.pool, Event(), Event(), Event()
        other = Event()

        def hold() -> None:
            entered.set()
            assert held.wait(PATIENCE)
            ran.set()

        pool.list(Job(LONG, hold, due=2))
        assert entered.wait(PATIENCE)
        pool.list(Job(LONG, other.set))
        eventually(lambda: len(pool._long) == 1)
        stopping = Thread(target=pool.stop)
        stopping.start()
        eventually(lambda: pool._stopping)
        held.set()
        stopping.join(PATIENCE)
        assert not stopping.is_alive()
        assert ran.is_set()
        assert not other.is_set()
        assert pool.threads == 0


def test_a_version_that_leaves_makes_room_for_fewer_threads() -> None:
    with small(4) as house:
        version = house.serve(config("long"), [Scripted()] * 3)
        assert house.pool._limit() == 4
        house.pool.detach(version)
        assert house.pool._limit() == 2
        house.pool.attach(version)
