"""Many threads do random things to many models while threads switch every few microseconds.

What holds afterwards, whatever happened: every request is answered exactly once and without anything else being
submitted; what was executed is what was not taken back before; every lease, byte and timer entry is back.
A seed that fails fails often, not always: the threads decide.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from threading import Thread

import pytest

from naiad.core.config import ModelConfig, QueuePolicy
from naiad.core.errors import BackendError, Cancelled, Code, DeadlineExceeded, NaiadError, Rejected
from naiad.core.types import InferResponse
from naiad.core.version import Version
from tests.core.house import House
from tests.core.scripted import PATIENCE, Caller, Scripted, config, request

THREADS = 5
REQUESTS = 250
OVERRIDE = QueuePolicy(allow_timeout_override=True)


@pytest.fixture(params=[1e-6, 1e-5])
def switch_interval(request: pytest.FixtureRequest) -> Iterator[float]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(request.param)
    yield request.param
    sys.setswitchinterval(before)


def spinning(seconds: float) -> Callable[[], None]:
    """Work that holds the interpreter, as a model in Python would."""

    def spin() -> None:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            pass

    return spin


def blocking(seconds: float) -> Callable[[], None]:
    """Work that lets go of the interpreter, as a model in native code would."""
    return lambda: time.sleep(seconds)


def stalling(seconds: float) -> Callable[[], None]:
    """Work that is short, but for every twentieth run: the watchdog's case."""
    runs = count()

    def stall() -> None:
        if next(runs) % 20 == 10:
            time.sleep(seconds)

    return stall


@dataclass
class Zoo:
    """Models of every kind, and all that was asked of them."""

    house: House
    executables: dict[str, Scripted] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)
    asked: list[tuple[str, float, Caller]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def add(
        self, model: ModelConfig, instances: int = 1, work: Callable[[], None] | None = None, own: bool = False
    ) -> None:
        executable = Scripted(own_threads=own)
        executable.work = work
        self.executables[model.name] = executable
        average_ns = 1.0 if work is None or model.name == "stalls" else None
        self.versions.append(self.house.serve(model, [executable] * instances, limit=40, average_ns=average_ns))


def filled(house: House) -> Zoo:
    zoo = Zoo(house)
    zoo.add(config("short", policy=OVERRIDE))
    zoo.add(config("single", 1, policy=OVERRIDE))
    zoo.add(config("stalls", 2), work=stalling(0.015))
    zoo.add(config("long", 4, policy=OVERRIDE), work=blocking(0.002))
    zoo.add(config("busy", 4), work=spinning(0.0005))
    zoo.add(config("delayed", 4, preferred=(2, 4), delay_us=1500, policy=OVERRIDE))
    zoo.add(config("several", 2), instances=3, work=blocking(0.0005))
    zoo.add(config("ordered", 2, ordered=True), instances=3, work=blocking(0.0003))
    zoo.add(config("own", 2, delay_us=300, policy=OVERRIDE), instances=2, work=blocking(0.0005), own=True)
    fails = zoo.executables["several"].fails
    fails.update({float(value): BackendError("bad row") for value in range(0, THREADS * REQUESTS, 7)})
    return zoo


def meddle(zoo: Zoo, thread: int, chance: random.Random) -> None:
    """Submit, cancel and let expire at random; a request's value says which one it is."""
    mine: list[Caller] = []
    for i in range(REQUESTS):
        value, model = float(thread * REQUESTS + i), chance.choice(list(zoo.executables))
        deadline = chance.choice([None, None, 30.0, 0.0005, 0.003])
        timeout = chance.choice([0, 0, 500, 30_000_000])
        wanted = request(
            value,
            model=model,
            rows=chance.choice([1, 1, 2]) if model != "single" else 1,
            width=chance.choice([1, 2]),
            deadline=deadline,
            parameters={"timeout": timeout} if timeout else None,
        )
        try:
            caller = zoo.house.infer(wanted)
        except (Rejected, DeadlineExceeded):
            zoo.refused.append(model)
            continue
        zoo.asked.append((model, value, caller))
        mine.append(caller)
        if chance.random() < 0.2:
            chance.choice(mine).cancel()
        if chance.random() < 0.05:
            time.sleep(chance.random() * 0.001)


def run_all(jobs: Sequence[Callable[[], None]]) -> None:
    threads = [Thread(target=job, daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * PATIENCE)
        assert not thread.is_alive(), "a submitting thread hangs"


@pytest.mark.usefixtures("switch_interval")
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("most_threads", [1, 4])
def test_whatever_many_threads_do_every_request_gets_its_one_answer(seed: int, most_threads: int) -> None:
    with House(most_threads) as house:
        zoo = filled(house)
        dice = [random.Random(f"{seed} {thread}") for thread in range(THREADS)]  # noqa: S311 - no secrets here
        run_all([partial(meddle, zoo, thread, chance) for thread, chance in enumerate(dice)])
        answered = [(model, value, caller.outcome()) for model, value, caller in zoo.asked]
        check_executed(zoo, answered)
    assert house.pool.threads == 0
    assert [len(caller.replies) for _, _, caller in zoo.asked] == [1] * len(zoo.asked)
    assert [version.leases for version in zoo.versions] == [0] * len(zoo.versions)
    check_counted(zoo)


def check_executed(zoo: Zoo, answered: list[tuple[str, float, InferResponse | NaiadError]]) -> None:
    """Answers are each request's own; what succeeded ran, nothing ran twice, no timed-out request ran."""
    executed = {model: executable.executed for model, executable in zoo.executables.items()}
    for model, values in executed.items():
        assert len(values) == len(set(values)), model
    ran = {model: set(values) for model, values in executed.items()}
    for model, value, outcome in answered:
        if isinstance(outcome, InferResponse):
            assert outcome.arrays[0].flat[0] == 2 * value
            assert value in ran[model]
        elif isinstance(outcome, BackendError):
            assert value % 7 == 0
            assert value in ran[model]
        elif isinstance(outcome, Rejected):
            assert str(outcome) == "Request timeout expired"
            assert value not in ran[model], "it expired in the queue and ran all the same"
        else:
            assert isinstance(outcome, Cancelled | DeadlineExceeded)
    assert {value for _, value, _ in answered} >= {value for values in ran.values() for value in values}


def check_counted(zoo: Zoo) -> None:
    """The counters add up to what callers were told."""
    for version in zoo.versions:
        name, statistics = version.config.name, version.statistics()
        outcomes = [caller.replies[0] for model, _, caller in zoo.asked if model == name]
        succeeded = sum(isinstance(outcome, InferResponse) for outcome in outcomes)
        assert statistics.success.count == succeeded, name
        assert statistics.fail.count == len(outcomes) - succeeded + zoo.refused.count(name), name
        cancelled = sum(isinstance(o, NaiadError) and o.code is Code.CANCELLED for o in outcomes)
        assert sum(count for reason, count in statistics.failures.items() if reason.name == "CANCELLED") == cancelled
        assert statistics.execution_count <= len(zoo.executables[name].ran)
        assert statistics.pending == 0


@pytest.mark.usefixtures("switch_interval")
@pytest.mark.parametrize("average_ns", [1.0, 1e9, None])
def test_a_single_request_after_a_pause_is_never_lost(average_ns: float | None) -> None:
    """Each waits for its own answer before the next one comes, so that nothing later could wake the pool for it."""
    with House(2) as house:
        for name in ("a", "b", "c"):
            house.serve(config(name, 1), [Scripted()], average_ns=average_ns)

        def ping(name: str) -> None:
            for value in range(150):
                assert house.infer(request(float(value), model=name)).value() == 2.0 * value

        run_all([partial(ping, name) for name in ("a", "b", "c", "a")])


@pytest.mark.usefixtures("switch_interval")
def test_models_that_are_always_busy_starve_no_other() -> None:
    """A hundred requests of each quiet model come through while others are kept busy by as many threads as run."""
    with House(2) as house:
        for name in ("short", "quiet"):
            house.serve(config(name, 1), [Scripted()], average_ns=1.0)
        for name in ("long", "rare"):
            executable = Scripted()
            executable.work = blocking(0.0005)
            house.serve(config(name, 1), [executable], average_ns=1e9)
        over: list[str] = []
        quiet = ("quiet", "rare")

        def keep_busy(name: str) -> None:
            while len(over) < 2:
                callers = [house.infer(request(1.0, model=name)) for _ in range(5)]
                for caller in callers:
                    caller.value()

        def ask_rarely(name: str) -> None:
            for _ in range(100):
                assert house.infer(request(3.0, model=name)).value() == 6.0
            over.append(name)

        run_all(
            [partial(keep_busy, name) for name in ("short", "long")] + [partial(ask_rarely, name) for name in quiet]
        )
