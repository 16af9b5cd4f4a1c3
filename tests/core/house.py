"""Where scripted models are served: a whole house with its threads, or one version that a test runs by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event
from time import monotonic_ns
from typing import Any, Self, cast

from naiad.core.budget import Budget, Counter
from naiad.core.config import Device, Kind, ModelConfig
from naiad.core.dedicated import DedicatedRunners
from naiad.core.engine import Engine, Served
from naiad.core.instance import Instance
from naiad.core.observer import Observer
from naiad.core.pending import Pending, Responder
from naiad.core.runners import RunnerPool
from naiad.core.strategy import Batcher, Run
from naiad.core.timer import Timer
from naiad.core.types import InferRequest
from naiad.core.version import Next, Shared, Version
from naiad.core.waiter import ConditionWaiter, Waiter
from tests.core.scripted import PATIENCE, Caller, Scripted, config, eventually


def instances(name: str, executables: Sequence[Scripted]) -> list[Instance]:
    """One instance per executable given; the same one may be given several times."""
    return [Instance(f"{name}_{i}", Device(Kind.CPU), e) for i, e in enumerate(executables)]


class House:
    """An engine with its threads, and models on scripted executables.

    As a context manager it ends orderly: every lease, byte and timer entry must be back.
    """

    def __init__(
        self,
        most_threads: int | None = None,
        budget: Counter | int = 1 << 30,
        waiter: Waiter | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.budget = Budget(budget)
        self.timer = Timer()
        self.pool = RunnerPool(waiter or ConditionWaiter(), self.timer, most_threads)
        self.dedicated = DedicatedRunners()
        self.observer = observer
        self.engine = Engine(observer)
        self.versions: list[Version] = []
        self._executables: list[Scripted] = []
        self._models: dict[str, dict[int, Version]] = {}

    def __enter__(self) -> Self:
        self.timer.start()
        self.pool.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for executable in self._executables:
            executable.let_go()
        self._stop(orderly=kind is None)

    def _stop(self, orderly: bool) -> None:
        for version in self.versions:
            idle = Event()
            version.drain(idle.set)
            was_idle = idle.wait(PATIENCE if orderly else 1.0)
            assert was_idle or not orderly, f"{version.leases} leases are left"
            version.close()
        self.pool.stop()
        if orderly:
            eventually(lambda: len(self.timer) == 0)
        self.timer.stop()
        assert not orderly or self.budget.used == 0, f"{self.budget.used} bytes were never given back"

    def serve(
        self,
        model: ModelConfig,
        executables: Sequence[Scripted],
        number: int = 1,
        limit: int = 1024,
        average_ns: float | None = None,
    ) -> Version:
        """Publish a version with one instance per executable given."""
        runners = self.dedicated if executables[0].own_threads else self.pool
        places = instances(model.name, executables)
        batcher = Batcher(model, places, limit)
        version = Version(model, number, places, batcher, Shared(runners, self.timer, self.budget, self.observer))
        version.average_ns = average_ns
        self.versions.append(version)
        self._executables += executables
        self._models.setdefault(model.name, {})[number] = version
        self.publish()
        return version

    def publish(self) -> None:
        self.engine.publish(
            {
                name: Served(dict(versions), versions[max(versions)], frozenset(versions))
                for name, versions in self._models.items()
            },
            ready=True,
        )

    def infer(self, wanted: InferRequest, caller: Caller | None = None) -> Caller:
        caller = caller or Caller()
        caller.pending = cast(Pending, self.engine.infer(wanted, caller))
        return caller


class ByHand:
    """One version that nothing runs by itself: it is its own Runners, and its timer stands still."""

    def __init__(
        self,
        model: ModelConfig,
        executables: Sequence[Scripted],
        limit: int = 1024,
        now_ns: Callable[[], int] = monotonic_ns,
        number: int = 1,
        observer: Observer | None = None,
    ) -> None:
        self._now_ns = now_ns
        self.listed = 0
        self.attached = 0
        self.timer = Timer()
        self.budget = Budget(1 << 30)
        places = instances(model.name, executables)
        batcher = Batcher(model, places, limit)
        self.version = Version(model, number, places, batcher, Shared(self, self.timer, self.budget, observer))

    def attach(self, version: Version) -> None:
        self.attached += 1

    def detach(self, version: Version) -> None:
        self.attached -= 1

    def list(self, version: Version) -> None:
        self.listed += 1

    def infer(self, wanted: InferRequest, caller: Caller | None = None) -> Caller:
        caller = caller or Caller()
        caller.pending = self.submit(wanted, caller)
        return caller

    def submit(self, wanted: InferRequest, responder: Responder) -> Pending:
        """Submit as the engine does."""
        return self.version.submit(wanted, responder)

    def look(self, now_ns: int | None = None) -> Next:
        return self.version.take(self._now_ns() if now_ns is None else now_ns)

    def take(self) -> Run:
        """The batch that is due now."""
        run = self.look().run
        assert run is not None, "nothing is due"
        return run

    def run(self) -> None:
        """Run what is due now."""
        self.version.execute(self.take())

    @property
    def clean(self) -> bool:
        """Whether every lease, byte and timer entry is back."""
        return self.version.leases == 0 and self.budget.used == 0 and len(self.timer) == 0


def one(scripted: Scripted | None = None, **options: Any) -> ByHand:
    """A version of one instance; the options are those of `scripted.config`."""
    return ByHand(config(**options), [scripted or Scripted()])
