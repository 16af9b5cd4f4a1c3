"""What the pool's tests share: a watched waiter, models that count as short or long, and jobs that are no models.

A version's `average_ns` is set by the test, so that it counts as short or long from its first run on.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import get_ident
from typing import cast

from naiad.core.instance import Instance
from naiad.core.strategy import Run
from naiad.core.version import Next
from naiad.core.waiter import ConditionWaiter
from tests.core.house import House
from tests.core.scripted import PATIENCE, Caller, Scripted, config, request

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
