"""Instances with a thread of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from threading import Event, Thread, get_ident
from time import monotonic_ns
from typing import cast

import pytest

from naiad.core.dedicated import DedicatedRunners
from naiad.core.errors import ExecutableLost
from naiad.core.instance import Instance
from naiad.core.strategy import Run
from naiad.core.version import Next, Version
from tests.core.house import House, instances
from tests.core.scripted import PATIENCE, Scripted, config, eventually, request


class Own(Scripted):
    """An executable for one thread, which records which one that is."""

    def __init__(self) -> None:
        super().__init__(own_threads=True)
        self.threads: set[int] = set()
        self.work = lambda: self.threads.add(get_ident())


@pytest.fixture
def house() -> Iterator[House]:
    with House() as house:
        yield house
    assert house.dedicated._groups == {}


def test_each_instance_runs_on_one_thread_of_its_own_and_never_in_the_pool(house: House) -> None:
    executables = [Own(), Own()]
    house.serve(config(max_batch_size=1), executables)
    callers = [house.infer(request(float(value))) for value in range(200)]
    assert [caller.value() for caller in callers] == [2.0 * value for value in range(200)]
    threads = [thread for executable in executables for thread in executable.threads]
    assert len(threads) == len(set(threads)) <= 2
    assert house.pool.threads == 1


def test_several_instances_run_at_the_same_time(house: House) -> None:
    executables = [Own(), Own(), Own()]
    house.serve(config(max_batch_size=1), executables)
    for executable in executables:
        executable.hold()
    callers = [house.infer(request(float(value))) for value in range(3)]
    entered = [executable.await_run() for executable in executables]
    assert sorted(entered) == [[0.0], [1.0], [2.0]]
    for executable in executables:
        executable.let_go()
    assert [caller.value() for caller in callers] == [0.0, 2.0, 4.0]


def test_a_delay_ends_by_itself(house: House) -> None:
    version = house.serve(config(delay_us=2000), [Own()])
    assert house.infer(request(1.0)).value() == 2.0
    assert version.statistics().queue.ns >= 2_000_000


def test_a_lost_instance_leaves_the_work_to_the_others(house: House) -> None:
    lost, sound = Own(), Own()
    lost.raises = ExecutableLost("the worker died")
    house.serve(config(max_batch_size=1), [lost, sound])
    sound.hold()
    callers = [house.infer(request(float(value))) for value in range(2)]
    lost.await_run()
    sound.let_go()
    after = [house.infer(request(float(value))) for value in range(2, 20)]
    assert [caller.value() for caller in after] == [2.0 * value for value in range(2, 20)]
    outcomes = [caller.outcome() for caller in callers]
    assert sum(isinstance(outcome, ExecutableLost) for outcome in outcomes) == 1
    assert len(lost.ran) == 1


class Script:
    """A version that gives what it was told to, and then nothing for ever."""

    def __init__(self, places: Sequence[Instance], *given: Next) -> None:
        self.instances = places
        self._given = list(given)
        self.events: SimpleQueue[str] = SimpleQueue()
        self.raises: Exception | None = None
        self.work: Callable[[], None] | None = None

    def take(self, now_ns: int, instance: Instance) -> Next:
        if self._given:
            self.events.put("take")
            return self._given.pop(0)
        self.events.put("nothing")
        return Next(None)

    def execute(self, run: Run) -> bool:
        self.events.put("execute")
        if self.work is not None:
            self.work()
        if self.raises is not None:
            raise self.raises
        return False


class Telling(DedicatedRunners):
    """Says when the threads of a version are told to look."""

    def list(self, version: Version) -> None:
        cast("Script", version).events.put("tell")
        super().list(version)


def played(script: Script, count: int) -> list[str]:
    """The first `count` events after the runners were told once."""
    runners, version = Telling(), cast("Version", script)
    runners.attach(version)
    runners.list(version)
    events = [script.events.get(timeout=PATIENCE) for _ in range(count)]
    runners.detach(version)
    return events


def a_run(place: Instance) -> Run:
    return Run(place, [], monotonic_ns())


@pytest.mark.parametrize(("again", "due_ns"), [(True, None), (False, 1 << 62)])
def test_before_an_instance_runs_the_others_are_told_what_it_leaves_behind(again: bool, due_ns: int | None) -> None:
    """Also of what is due later: this thread cannot wait for it while it runs."""
    (place,) = instances("m", [Own()])
    script = Script([place], Next(a_run(place), again, due_ns))
    assert played(script, 4) == ["tell", "take", "tell", "execute"]


def test_an_instance_that_cannot_run_hands_on_that_others_can() -> None:
    (place,) = instances("m", [Own()])
    assert played(Script([place], Next(None, again=True)), 4) == ["tell", "take", "tell", "nothing"]


def test_an_error_of_the_server_is_logged_and_the_thread_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    (place,) = instances("m", [Own()])
    script = Script([place], Next(a_run(place)), Next(a_run(place)))
    script.raises = RuntimeError("a mistake of the server")
    assert played(script, 6) == ["tell", "take", "execute", "take", "execute", "nothing"]
    assert caplog.text.count("a run of 0 requests ended in an error of the server") == 2


def test_telling_a_version_that_has_left_is_nothing() -> None:
    runners = DedicatedRunners()
    version = cast("Version", Script(instances("m", [Own()])))
    runners.attach(version)
    runners.detach(version)
    runners.list(version)
    assert runners._groups == {}


def test_detaching_waits_for_the_run_that_goes_on() -> None:
    (place,) = instances("m", [Own()])
    script, go_on = Script([place], Next(a_run(place))), Event()
    runners, version = DedicatedRunners(), cast("Version", script)
    runners.attach(version)
    (runner,) = runners._groups[version].values()

    def work() -> None:
        assert go_on.wait(PATIENCE)
        script.events.put("run ended")

    def detach() -> None:
        runners.detach(version)
        script.events.put("detached")

    script.work = work
    runners.list(version)
    assert [script.events.get(timeout=PATIENCE) for _ in range(2)] == ["take", "execute"]
    Thread(target=detach, daemon=True).start()
    eventually(lambda: runner._stopping)
    go_on.set()
    assert [script.events.get(timeout=PATIENCE) for _ in range(3)] == ["run ended", "nothing", "detached"]
