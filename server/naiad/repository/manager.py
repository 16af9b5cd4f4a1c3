"""Wanted versus actual: makes the server serve what the repository says, and is the only writer of what exists.

One thread owns all state here and handles one message after the other; loader threads only load and report back.
What others may read (the engine's map, the index) is immutable and replaced whole. A model's failure is told in
the index and the log, and touches no other model.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from threading import Event, Thread
from typing import NamedTuple

from naiad.core.engine import Engine, IndexEntry, Served
from naiad.core.errors import NaiadError
from naiad.core.lifecycle import Phase, Record, Verb, next_actions
from naiad.repository.loading import Loaded

_STOPPING = "the server is stopping"

log = logging.getLogger(__name__)


class Candidate(NamedTuple):
    """What a repository says of one model.

    wanted: for each version to serve how to load it (called once, on a loader thread), or why it cannot be. problem:
    why nothing of the model can be served; then there are no versions.
    """

    name: str
    wanted: Mapping[int, Callable[[], Loaded] | str]
    problem: str = ""


@dataclass(slots=True)
class _Model:
    candidate: Candidate
    records: dict[int, Record] = field(default_factory=dict)
    loaded: dict[int, Loaded] = field(default_factory=dict)


class Manager:
    """An engine's Control. candidates: reads the repositories; called on the manager's thread."""

    def __init__(self, engine: Engine, candidates: Callable[[], Iterable[Candidate]], load_threads: int) -> None:
        self._engine = engine
        self._candidates = candidates
        self._models: dict[str, _Model] = {}
        self._index: tuple[IndexEntry, ...] = ()
        self._loading = 0
        self._frozen = False
        self._messages: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._settled = Event()
        self._idle = Event()
        self._thread = Thread(target=self._work, args=(self._messages,), name="naiad-manager", daemon=True)
        self._loaders = [
            Thread(target=self._work, args=(self._jobs,), name=f"naiad-loader-{i}", daemon=True)
            for i in range(load_threads)
        ]
        engine.govern(self)

    def start(self) -> None:
        """Read the repositories and begin to load."""
        for thread in (self._thread, *self._loaders):
            thread.start()
        self._messages.put(self._first_pass)

    def settled(self, timeout: float | None = None) -> bool:
        """Wait until the first pass of loading has ended; False when it took longer than `timeout` seconds."""
        return self._settled.wait(timeout)

    def index(self, ready_only: bool) -> tuple[IndexEntry, ...]:
        return tuple(entry for entry in self._index if entry.state == "READY" or not ready_only)

    def freeze(self) -> None:
        """Begin no more loads and swap nothing any more."""
        self._frozen = True

    def drain(self, timeout: float) -> bool:
        """Refuse requests on every version and wait for those that are on their way; False on `timeout` seconds."""
        self._messages.put(self._drain_all)
        return self._idle.wait(timeout)

    def close(self) -> None:
        """Close every version; all must be idle. Loads that still run are left to end by themselves."""
        self._messages.put(self._close_all)
        self._messages.put(None)
        self._thread.join()
        for _ in self._loaders:
            self._jobs.put(None)

    @staticmethod
    def _work(queue: SimpleQueue[Callable[[], None] | None]) -> None:
        while (task := queue.get()) is not None:
            try:
                task()
            except Exception:
                log.exception("the manager goes on without %r", task)

    # Loading: on the manager's thread, but for `_load`.

    def _first_pass(self) -> None:
        for candidate in self._candidates():
            self._models[candidate.name] = _Model(candidate)
            if candidate.problem:
                log.error("model %s cannot be served: %s", candidate.name, candidate.problem)
        for model in self._models.values():
            self._reconcile(model)
        self._publish()

    def _reconcile(self, model: _Model) -> None:
        for action in next_actions(frozenset(model.candidate.wanted), model.records):
            if action.verb is Verb.LOAD and not self._frozen:
                self._begin_load(model, action.version)

    def _begin_load(self, model: _Model, number: int) -> None:
        model.records[number] = Record(Phase.SETTLED, time.monotonic()).to(Phase.LOADING, time.monotonic())
        load = model.candidate.wanted[number]
        if isinstance(load, str):
            self._failed(model, number, load)
            return
        self._loading += 1
        self._jobs.put(partial(self._load, model, number, load))

    def _load(self, model: _Model, number: int, load: Callable[[], Loaded]) -> None:
        """Load a version on this loader thread and report back; whatever goes wrong concerns this version only."""
        self._messages.put(partial(self._load_ended, model, number, self._outcome(model, number, load)))

    def _outcome(self, model: _Model, number: int, load: Callable[[], Loaded]) -> Loaded | str:
        """What was loaded, or why not."""
        if self._frozen:
            return _STOPPING
        try:
            loaded = load()
        except NaiadError as error:
            return str(error)
        except Exception as error:
            log.exception("loading model %s version %d", model.candidate.name, number)
            return f"{type(error).__name__}: {error}"
        if self._frozen:
            loaded.close()
            return _STOPPING
        return loaded

    def _load_ended(self, model: _Model, number: int, outcome: Loaded | str) -> None:
        self._loading -= 1
        if isinstance(outcome, str):
            self._failed(model, number, outcome)
        elif self._frozen:
            outcome.close()
            self._failed(model, number, _STOPPING)
        else:
            record = model.records[number]
            now = time.monotonic()
            model.records[number] = record.to(Phase.READY, now)
            model.loaded[number] = outcome
            log.info("model %s version %d is ready after %.3f s", model.candidate.name, number, now - record.since)
        self._publish()

    def _failed(self, model: _Model, number: int, reason: str) -> None:
        model.records[number] = model.records[number].to(Phase.FAILED, time.monotonic(), reason)
        log.error("model %s version %d failed to load: %s", model.candidate.name, number, reason)

    # Telling the others.

    def _publish(self) -> None:
        self._index = tuple(entry for name in sorted(self._models) for entry in _entries(self._models[name]))
        first_pass_over = not self._loading
        self._engine.publish({name: _served(model) for name, model in self._models.items()}, first_pass_over)
        if first_pass_over:
            self._settled.set()

    # Stopping.

    def _all_loaded(self) -> list[tuple[_Model, int, Loaded]]:
        return [(model, number, loaded) for model in self._models.values() for number, loaded in model.loaded.items()]

    def _drain_all(self) -> None:
        self._frozen = True
        everything = self._all_loaded()
        for model, number, loaded in everything:
            model.records[number] = model.records[number].to(Phase.DRAINING, time.monotonic())
            loaded.version.drain(partial(self._messages.put, partial(self._drained, model, number)))
        if not everything:
            self._idle.set()

    def _drained(self, model: _Model, number: int) -> None:
        model.records[number] = model.records[number].to(Phase.UNLOADED, time.monotonic(), "unloaded")
        if all(model.records[number].phase is Phase.UNLOADED for model, number, _ in self._all_loaded()):
            self._idle.set()

    def _close_all(self) -> None:
        for model, number, loaded in self._all_loaded():
            loaded.close()
            del model.loaded[number]
        self._publish()


def _served(model: _Model) -> Served:
    ready = {number: loaded.version for number, loaded in model.loaded.items() if model.records[number].serves}
    return Served(ready, ready[max(ready)] if ready else None, frozenset(model.records))


def _entries(model: _Model) -> list[IndexEntry]:
    name = model.candidate.name
    if not model.records:
        problem = model.candidate.problem
        return [IndexEntry(name, "", "UNAVAILABLE", problem)]
    return [
        IndexEntry(name, str(number), record.wire_state, record.reason)
        for number, record in sorted(model.records.items())
    ]
