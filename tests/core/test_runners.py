"""The pool: who runs what, who waits meanwhile, and how many threads there are.

A version's `average_ns` is set by the test, so that it counts as short or long from its first run on. What a held
run leaves possible is shown by what is answered while it is still held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Event, Thread, get_ident
from time import monotonic_ns
from typing import cast

import pytest

from naiad.core import runners
from naiad.core.instance import Instance
from naiad.core.runners import RunnerPool
from naiad.core.strategy import Run
from naiad.core.timer import Timer
from naiad.core.version import Next
from naiad.core.waiter import ConditionWaiter
from tests.core.house import House
from tests.core.scripted import PATIENCE, Caller, Scripted, config, eventually, request

SHORT = 1.0
LONG = 1e9


class Watched(ConditionWaiter):
    """A condition that records who waits in it, and for how long."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: SimpleQueue[int] = SimpleQueue()
        self.timeouts: list[float | None] = []
        self.asleep = 0
        """The thread that waits until it is kicked."""

    def wait(self, timeout: float | None) -> None:
        self.timeouts.append(timeout)
        if timeout != 0:
            self.waiting.put(get_ident())
        self.asleep = get_ident() if timeout is None else 0
        super().wait(timeout)
        self.asleep = 0

    def await_leader(self) -> int:
        """The thread that waits next."""
        return self.waiting.get(timeout=PATIENCE)


class Identified(Scripted):
    """Records the threads that ran it."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []
        self.work = lambda: self.threads.append(get_ident())


@pytest.fixture
def waiter() -> Watched:
    return Watched()


@pytest.fixture
def house(waiter: Watched) -> Iterator[House]:
    with House(waiter=waiter) as house:
        yield house
    assert house.pool.threads == 0


def small(most: int, waiter: Watched | None = None) -> House:
    return House(most_threads=most, waiter=waiter)


def serve(house: House, name: str, average_ns: float | None, count: int = 1, delay_us: int = 0) -> Identified:
    """A model that runs its requests one by one on `count` instances; with a delay, two together."""
    executable = Identified()
    wanted = config(name, 2 if delay_us else 1, delay_us=delay_us)
    house.serve(wanted, [executable] * count, average_ns=average_ns)
    return executable


def ask(house: House, name: str, value: float = 1.0) -> Caller:
    return house.infer(request(value, model=name))


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


class Job:
    """What a pool sees of a version, with `due` batches."""

    def __init__(self, average_ns: float | None, run: Callable[[], None], due: int = 1) -> None:
        self.average_ns = average_ns
        self.due = due
        self._run = run

    def take(self, now_ns: int, instance: object = None) -> Next:
        if self.due == 0:
            return Next(None)
        self.due -= 1
        return Next(Run(cast("Instance", None), [], now_ns))

    def execute(self, run: Run) -> bool:
        self._run()
        return self.due > 0


class Failing(Job):
    """A version that breaks the pool's own code: taking raises once."""

    def take(self, now_ns: int, instance: object = None) -> Next:
        self.due -= 1
        raise RuntimeError("a mistake of the server")


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
