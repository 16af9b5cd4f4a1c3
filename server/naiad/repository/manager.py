"""Wanted versus actual: makes the server serve what the repository says, and is the only writer of what exists.

One thread owns all state here and handles one message after the other; what they changed is published when none
waits. Loads run elsewhere and report back. A model's failure, whatever it is, is told in the index and the log, and
touches no other model.
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

from naiad.core.engine import Engine, IndexEntry, ModelHistory, Served
from naiad.core.lifecycle import Phase, Record, Verb, next_actions
from naiad.repository.loaders import STOPPING, Loaders, Outcome, close
from naiad.repository.loading import Loaded
from naiad.repository.publishing import Publisher

log = logging.getLogger(__name__)


class Candidate(NamedTuple):
    """What a repository says of one model.

    wanted: for each version to serve how to load it (called once, on a loader thread), or why it cannot be. problem:
    why nothing of the model can be served; then there are no versions. idle: why nothing of it is to be served,
    without anything being wrong; as above.
    """

    name: str
    wanted: Mapping[int, Callable[[], Loaded] | str]
    problem: str = ""
    idle: str = ""


@dataclass(slots=True)
class _Model:
    candidate: Candidate
    records: dict[int, Record] = field(default_factory=dict)
    loaded: dict[int, Loaded] = field(default_factory=dict)


class Manager:
    """An engine's Control.

    candidates: reads the repositories; called on the manager's thread. strict: the server is ready only while every
    model that is to be served is.
    """

    def __init__(
        self,
        engine: Engine,
        candidates: Callable[[], Iterable[Candidate]],
        loaders: Loaders,
        *,
        strict: bool = False,
    ) -> None:
        self._publisher = Publisher(engine, strict=strict)
        self._candidates = candidates
        self._loaders = loaders
        self._models: dict[str, _Model] = {}
        self._begun = False
        self._loading = 0
        self._frozen = False
        self._draining: int | None = None
        self._messages: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._settled = Event()
        self._idle = Event()
        self._thread = Thread(target=self._work, name="naiad-manager", daemon=True)
        engine.govern(self)

    def start(self) -> None:
        """Read the repositories and begin to load."""
        self._thread.start()
        self._loaders.start()
        self._messages.put(self._first_pass)

    def settled(self, timeout: float | None = None) -> bool:
        """Wait until the first pass of loading has ended; False when it took longer than `timeout` seconds."""
        return self._settled.wait(timeout)

    def failures(self) -> tuple[IndexEntry, ...]:
        """What is to be served and could not be loaded, as published last."""
        return self._publisher.failures()

    def index(self, ready_only: bool) -> tuple[IndexEntry, ...]:
        return self._publisher.index(ready_only)

    def histories(self) -> tuple[ModelHistory, ...]:
        return self._publisher.histories()

    def freeze(self) -> None:
        """Begin no more loads and swap nothing any more."""
        self._frozen = True
        self._loaders.freeze()

    def drain(self, timeout: float) -> bool:
        """Refuse requests on every version and wait for those that are on their way; False on `timeout` seconds."""
        self.freeze()
        self._messages.put(self._drain_all)
        return self._idle.wait(timeout)

    def close(self) -> None:
        """Close every version that `drain` has emptied. Loads that still run are left to end by themselves."""
        self._messages.put(self._close_all)
        self._messages.put(None)
        self._thread.join()
        self._loaders.stop()

    # The manager's thread. All below runs on it.

    def _work(self) -> None:
        while (task := self._messages.get()) is not None:
            self._try(task)
            if self._messages.empty():
                self._try(self._publish)
        self._try(self._publish)

    @staticmethod
    def _try(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException:  # models are served on, whatever one of them brings up
            log.exception("the manager goes on without %r", task)

    def _publish(self) -> None:
        settled = self._begun and not self._loading
        try:
            self._publisher.publish(settled)
        finally:
            if settled:
                self._settled.set()
            if self._draining == 0:
                self._idle.set()

    # Loading.

    def _first_pass(self) -> None:
        self._begun = True
        try:
            for candidate in self._candidates():
                self._models[candidate.name] = _Model(candidate)
        except Exception:
            log.exception("the repositories could be read up to model %s only", next(reversed(self._models), "none"))
        for model in self._models.values():
            self._try(partial(self._begin, model))

    def _begin(self, model: _Model) -> None:
        name, _, problem, idle = model.candidate
        if problem:
            log.error("model %s cannot be served: %s", name, problem)
            self._publisher.failed(name)
        self._publisher.tell(name, {}, problem, idle)
        for action in next_actions(frozenset(model.candidate.wanted), model.records):
            if action.verb is Verb.LOAD and not self._frozen:
                self._begin_load(model, action.version)
        self._publisher.serve(name, _served(model))

    def _begin_load(self, model: _Model, number: int) -> None:
        model.records[number] = Record(Phase.SETTLED, time.monotonic())
        self._move(model, number, Phase.LOADING)
        load = model.candidate.wanted[number]
        if isinstance(load, str):
            self._failed(model, number, load)
            return
        self._loading += 1
        self._loaders.load(_subject(model, number), load, partial(self._loaded, model, number))

    def _loaded(self, model: _Model, number: int, outcome: Outcome) -> None:
        """Hear from the loaders, on any thread."""
        self._messages.put(partial(self._load_ended, model, number, outcome))

    def _load_ended(self, model: _Model, number: int, outcome: Outcome) -> None:
        self._loading -= 1
        if isinstance(outcome, str):
            self._failed(model, number, outcome)
        elif self._frozen:
            self._failed(model, number, STOPPING)
            close(outcome, _subject(model, number))
        else:
            took = time.monotonic() - model.records[number].since
            model.loaded[number] = outcome
            self._move(model, number, Phase.READY)
            self._publisher.loaded(model.candidate.name, number, took)
            self._publisher.serve(model.candidate.name, _served(model))
            log.info("%s is ready after %.3f s", _subject(model, number), took)

    def _failed(self, model: _Model, number: int, reason: str) -> None:
        self._move(model, number, Phase.FAILED, reason)
        self._publisher.failed(model.candidate.name)
        log.error("%s failed to load: %s", _subject(model, number), reason)

    def _move(self, model: _Model, number: int, phase: Phase, reason: str = "") -> None:
        model.records[number] = model.records[number].to(phase, time.monotonic(), reason)
        self._publisher.tell(model.candidate.name, model.records)

    # Stopping. What drains stays in the engine's map until it is closed: it refuses by itself, and its statistics
    # can be read to the end.

    def _in_phase(self, phase: Phase) -> list[tuple[_Model, int, Loaded]]:
        return [
            (model, number, loaded)
            for model in self._models.values()
            for number, loaded in model.loaded.items()
            if model.records[number].phase is phase
        ]

    def _drain_all(self) -> None:
        ready = self._in_phase(Phase.READY)
        self._draining = (self._draining or 0) + len(ready)
        for model, number, loaded in ready:
            self._move(model, number, Phase.DRAINING)
            idle = partial(self._messages.put, partial(self._drained, model, number))
            self._try(partial(loaded.version.drain, idle))

    def _drained(self, model: _Model, number: int) -> None:
        self._draining = (self._draining or 0) - 1
        self._move(model, number, Phase.UNLOADED, "unloaded")

    def _close_all(self) -> None:
        unused = self._in_phase(Phase.UNLOADED)
        for model, number, _ in unused:
            del model.loaded[number]
            self._publisher.serve(model.candidate.name, _served(model))
        self._try(self._publish)
        for model, number, loaded in unused:
            close(loaded, _subject(model, number))


def _subject(model: _Model, number: int) -> str:
    return f"model {model.candidate.name} version {number}"


def _served(model: _Model) -> Served:
    ready = {number: loaded.version for number, loaded in model.loaded.items() if model.records[number].serves}
    return Served(ready, ready[max(ready)] if ready else None, frozenset(model.records))
