"""A version that serves gets other instances: no request is lost, and none runs where it must not."""

from __future__ import annotations

from threading import Event, Thread

import pytest

from naiad.core.config import Device, Kind
from naiad.core.errors import ExecutableLost, Unavailable
from naiad.core.instance import Instance
from naiad.core.version import Version
from tests.core.house import House, instances
from tests.core.scripted import PATIENCE, Caller, Scripted, config, eventually, request


def gpu(name: str, executable: Scripted, ordinal: int) -> Instance:
    return Instance(name, Device(Kind.GPU, ordinal), executable)


def resize(version: Version, *places: Instance, limit: int = 1024) -> Event:
    retired = Event()
    version.resize(version.config, places, limit, retired.set)
    return retired


@pytest.mark.parametrize("own_threads", [False, True])
def test_an_instance_that_is_added_runs_beside_the_others(own_threads: bool) -> None:
    with House() as house:
        one, two = Scripted(own_threads=own_threads), Scripted(own_threads=own_threads)
        version = house.serve(config(), [one])
        one.hold()
        two.hold()
        first = house.infer(request(1.0))
        assert one.await_run() == [1.0]
        second = house.infer(request(2.0))
        assert resize(version, *version.instances, instances("n", [two])[0]).is_set()
        assert two.await_run() == [2.0]
        one.let_go()
        two.let_go()
        assert (first.value(), second.value()) == (2.0, 4.0)


@pytest.mark.parametrize("own_threads", [False, True])
def test_an_instance_that_is_taken_away_ends_its_run_and_runs_no_more(own_threads: bool) -> None:
    with House() as house:
        one, two = Scripted(own_threads=own_threads), Scripted(own_threads=own_threads)
        version = house.serve(config(max_batch_size=1), [one])
        (old,) = version.instances
        one.hold()
        running = house.infer(request(1.0))
        assert one.await_run() == [1.0]
        retired = Event()
        new = instances("n", [two])
        waiting = Thread(target=lambda: version.resize(version.config, new, 1024, retired.set))
        waiting.start()
        answered = [house.infer(request(value)).value() for value in (2.0, 3.0)]
        assert answered == [4.0, 6.0]
        assert not retired.is_set()
        one.let_go()
        assert running.value() == 2.0
        assert retired.wait(PATIENCE)
        waiting.join(PATIENCE)
        assert [house.infer(request(value)).value() for value in (4.0, 5.0)] == [8.0, 10.0]
        assert one.executed == [1.0]
        assert old not in version.instances
        one.close()


def test_one_that_is_free_leaves_at_once() -> None:
    with House() as house:
        one, two = Scripted(), Scripted()
        version = house.serve(config(), [one, two])
        assert resize(version, version.instances[0]).is_set()
        assert [house.infer(request(1.0)).value() for _ in range(20)] == [2.0] * 20
        assert two.executed == []
        two.close()


def test_the_queue_is_limited_as_the_new_instances_have_it() -> None:
    with House() as house:
        executable = Scripted()
        version = house.serve(config(max_batch_size=1), [executable], limit=1)
        executable.hold()
        running = house.infer(request(1.0))
        executable.await_run()
        resize(version, *version.instances, limit=3)
        queued = [house.infer(request(float(value))) for value in (2, 3, 4)]
        assert version.statistics().queue_limit == version.queue_limit == 3
        with pytest.raises(Unavailable):
            house.infer(request(5.0))
        executable.let_go()
        assert [caller.value() for caller in (running, *queued)] == [2.0, 4.0, 6.0, 8.0]


def test_statistics_go_on_and_tell_the_new_gpus() -> None:
    with House() as house:
        version = house.serve(config(), [Scripted()])
        house.infer(request(1.0)).value()
        other = Scripted()
        resize(version, gpu("g", other, 3), gpu("h", other, 1)).wait(PATIENCE)
        house.infer(request(1.0)).value()
        statistics = version.statistics()
        assert statistics.gpus == (1, 3)
        assert statistics.success.count == 2


def test_one_that_was_lost_is_replaced() -> None:
    with House() as house:
        one, two, three = Scripted(), Scripted(), Scripted()
        version = house.serve(config(max_batch_size=1), [one, two])
        one.raises = two.raises = ExecutableLost("the worker is gone")
        house.infer(request(1.0)).error()
        left = [i for i in version.instances if not i.executable.ran]  # type: ignore[attr-defined]
        resize(version, *left, instances("n", [three])[0])
        two.raises = one.raises = None
        assert house.infer(request(2.0)).value() == 4.0
        one.close()
        two.close()


def test_requests_are_answered_once_while_instances_come_and_go() -> None:
    with House() as house:
        executables = [Scripted() for _ in range(4)]
        places = instances("m", executables)
        version = house.serve(config(max_batch_size=4), executables[:1])
        stop = Event()

        def change() -> None:
            turn = 0
            while not stop.is_set():
                turn += 1
                chosen = places[turn % 4 :] or places[:1]
                assert resize(version, *chosen).wait(PATIENCE)

        changing = Thread(target=change)
        changing.start()
        callers: list[Caller] = []
        for value in range(2000):
            callers.append(house.infer(request(float(value))))
            if len(callers) > 500:
                callers[-500].outcome()
        assert [caller.value() for caller in callers] == [2.0 * value for value in range(2000)]
        stop.set()
        changing.join(PATIENCE)
        eventually(lambda: version.leases == 0)
        resize(version, *places).wait(PATIENCE)
