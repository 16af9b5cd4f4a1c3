"""A manager over candidates that a test names, on scripted backends."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event

from naiad.core.backend import Executable, ModelFiles
from naiad.core.config import Device, InstanceGroup, ModelConfig
from naiad.core.errors import InvalidArgument
from naiad.core.history import Standing
from naiad.core.lifecycle import Phase
from naiad.core.waiting import WaitingRoom
from naiad.repository.generations import Ended
from naiad.repository.loaders import Loaders
from naiad.repository.loading import Backends, Loaded, Loader, Threads
from naiad.repository.manager import Manager
from naiad.repository.resolve import Resolved
from naiad.repository.rollback import Trust
from naiad.repository.wanted import Candidate, Progress, Wish
from naiad.repository.warmup import NONE, WARMUP
from tests.core.house import House
from tests.core.scripted import PATIENCE, Scripted, config, eventually, request

FILES = ModelFiles(Path("m"), Path("m/1"), None)


class ScriptedBackend:
    """Loads Scripted executables, or raises what its plan says for the model."""

    def __init__(self, plan: Mapping[str, BaseException | Event]) -> None:
        self._plan = plan
        self.stubborn: BaseException | None = None
        self.executables: list[Scripted] = []
        self.closed = False
        self.shared = True
        self.model = ""

    def complete(self, config: ModelConfig, files: ModelFiles) -> ModelConfig:
        self.model = config.name
        trouble = self._plan.get(config.name)
        if isinstance(trouble, Event):
            assert trouble.wait(PATIENCE)
        elif trouble is not None:
            raise trouble
        return config

    def load(self, device: Device) -> Executable:
        if len(self.executables) == 2:
            raise InvalidArgument("no room for a third")
        self.executables.append(Scripted(shared=self.shared))
        return self.executables[-1]

    def close(self) -> None:
        self.closed = True
        if self.stubborn is not None:
            raise self.stubborn


class Site:
    """A manager over what a test wants, with two loader threads.

    plan: what loading does, by model, or by identity where a test gives one: an error is raised, an event waited for.
    """

    def __init__(
        self, house: House, *, strict: bool = False, retries: bool = False, trust: Trust | None = None
    ) -> None:
        self.house = house
        self.plan: dict[str, BaseException | Event] = {}
        self.made: list[ScriptedBackend] = []
        self.loads: list[tuple[str, int, str]] = []
        self.candidates: list[Candidate] = []
        self._started = False
        threads = Threads(house.pool, house.dedicated, house.timer, house.budget)
        self.loader = Loader(Backends(self._create, lambda _: ()), threads)
        self.loaders = Loaders(2, house.timer)
        rooms = partial(WaitingRoom, timer=house.timer, budget=house.budget, failed=house.engine.refused)
        self.manager = Manager(house.engine, self.loaders, rooms, strict=strict, retries=retries, trust=trust)

    def _create(self, name: str) -> ScriptedBackend:
        self.made.append(ScriptedBackend(self.plan))
        return self.made[-1]

    def wish(
        self,
        name: str,
        number: int,
        identity: str = "",
        instances: Sequence[InstanceGroup] = (),
        *,
        replace: bool = False,
    ) -> Wish:
        """That a version is loaded, as the plan says for its model and then for its identity."""

        def load(progress: Progress) -> Loaded:
            self.loads.append((name, number, identity))
            trouble = self.plan.get(identity)
            if isinstance(trouble, Event):
                assert trouble.wait(PATIENCE)
                trouble = self.plan.get(identity)
            if isinstance(trouble, BaseException):
                raise trouble
            quiet = dataclasses.replace(config(name), parameters={WARMUP: NONE})
            return self.loader.load(Resolved(quiet, FILES), number, lambda _: "config.pbtxt", progress)

        return Wish(identity, load, tuple(instances), replace)

    def offer(self, name: str, *versions: int, problem: str = "", **trouble: str) -> None:
        """Have a model wanted in the first pass; v7="why" stands for a version 7 that cannot be loaded."""
        wanted = {number: self.wish(name, number) for number in versions}
        wanted.update({int(number.removeprefix("v")): Wish("", reason) for number, reason in trouble.items()})
        self.candidates.append(Candidate(name, wanted, problem))

    def start(self) -> None:
        if not self._started:
            self._started = True
            self.manager.start()
            self.manager.want(self.candidates, first=True)

    def settle(self) -> None:
        self.start()
        assert self.manager.settled(PATIENCE)

    def want(
        self,
        name: str,
        *wishes: tuple[int, str],
        problem: str = "",
        idle: str = "",
        waiting: Mapping[int, str] | None = None,
        present: Collection[int] | None = None,
        replace: bool = False,
    ) -> Outcome:
        """Say what is wanted of a model from now on: versions and the identities of their content."""
        self.settle()
        wanted = {number: self.wish(name, number, identity, replace=replace) for number, identity in wishes}
        there = frozenset(wanted if present is None else present)
        outcome = Outcome()
        candidate = Candidate(name, wanted, problem, idle, waiting or {}, there)
        self.manager.want([candidate], told=outcome.ended)
        return outcome

    def fail(self, identity: str, gate: Event) -> None:
        """Have a load that waits at `gate` fail."""
        self.plan[identity] = InvalidArgument("the file is truncated")
        gate.set()

    def handled(self) -> None:
        """Wait until the manager has handled all that it was told, and published that."""
        handled = Event()
        self.manager._agenda.put(handled.set)
        self.manager._agenda.put(lambda: None)
        assert handled.wait(PATIENCE)

    def states(self) -> list[tuple[str, str, str]]:
        return [(entry.name, entry.version, entry.state) for entry in self.manager.index(ready_only=False)]

    def reasons(self) -> list[str]:
        return [entry.reason for entry in self.manager.index(ready_only=False)]

    def standing(self, name: str, number: int) -> Standing:
        """How a version stands, as published last; raises KeyError where nothing is known of it."""
        (versions,) = (each.versions for each in self.manager.histories() if each.name == name)
        return versions[number]

    def reaches(self, name: str, number: int, phase: Phase, identity: str = "") -> None:
        """Wait until a version is in a phase."""

        def there() -> bool:
            now = {
                (n, s.phase, s.identity)
                for h in self.manager.histories()
                if h.name == name
                for n, s in h.versions.items()
            }
            return (number, phase, identity) in now

        eventually(there)

    def ask(self, model: str, version: int | None = None) -> float:
        return self.house.infer(request(2.0, model=model, version=version)).value()


class Outcome:
    """Hears once what became of what was wanted."""

    def __init__(self) -> None:
        self._told: list[Ended] = []

    def ended(self, ended: Ended) -> None:
        self._told.append(ended)

    @property
    def known(self) -> bool:
        return bool(self._told)

    def get(self) -> Ended:
        eventually(lambda: self.known)
        (ended,) = self._told
        return ended


@contextmanager
def opened(*, strict: bool = False, retries: bool = False, trust: Trust | None = None) -> Iterator[Site]:
    """A site that ends orderly: all that was loaded is closed."""
    with House() as house:
        site = Site(house, strict=strict, retries=retries, trust=trust)
        yield site
        site.start()
        site.manager.freeze()
        for trouble in site.plan.values():
            if isinstance(trouble, Event):
                trouble.set()
        assert site.manager.drain(PATIENCE)
        site.manager.close()
    eventually(lambda: all(backend.closed for backend in site.made if backend.executables))
    assert all(executable.closed for backend in site.made for executable in backend.executables)
