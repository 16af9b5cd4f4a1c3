"""Wanted versus actual: makes the server serve what the repository says, and is the only writer of what exists.

One thread owns all state here and handles one message after the other; what they changed is published when none
waits, and before anything drains. Loads and closings run elsewhere and report back. A model's failure, whatever it
is, is told in the index and the log, and touches no other model.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable
from functools import partial
from threading import Event, Thread

from naiad.core.engine import Engine, IndexEntry
from naiad.core.history import ModelHistory
from naiad.core.lifecycle import Phase, next_actions
from naiad.repository.agenda import Agenda
from naiad.repository.closing import Closer, close
from naiad.repository.generations import Ended, Model
from naiad.repository.loaders import Loaders
from naiad.repository.publishing import Publisher
from naiad.repository.rollback import Trust
from naiad.repository.swaps import Hands, Rooms, Swaps
from naiad.repository.wanted import Candidate

log = logging.getLogger(__name__)

Told = Callable[[Ended], None]
"""Hears, on the manager's thread, what became of what was wanted; must only enqueue."""


class Manager:
    """An engine's Control.

    rooms: where requests wait while a model has nothing that serves. strict: the server is ready only while every model
    that is to be served is. retries: what fails to load is tried again. trust: when a version that was swapped in goes
    back, None for never.
    """

    def __init__(
        self,
        engine: Engine,
        loaders: Loaders,
        rooms: Rooms,
        *,
        strict: bool = False,
        retries: bool = False,
        trust: Trust | None = None,
    ) -> None:
        self._agenda = Agenda()
        self._publisher = Publisher(engine, strict=strict)
        self._loaders = loaders
        self._closer = Closer()
        hands = Hands(self._agenda, self._publisher, loaders, self._closer, rooms)
        self._swaps = Swaps(hands, self._review, retries=retries, trust=trust)
        self._models: dict[str, Model] = {}
        self._first: set[str] | None = None
        self._ended: list[Model] = []
        self._frozen = False
        self._stopping = False
        self._settled = Event()
        self._idle = Event()
        self._thread = Thread(target=self._work, name="naiad-manager", daemon=True)
        engine.govern(self)

    def start(self) -> None:
        self._thread.start()
        self._closer.start()
        self._loaders.start()

    def want(
        self,
        candidates: Iterable[Candidate],
        *,
        gone: Collection[str] = (),
        first: bool = False,
        again: bool = False,
        told: Told | None = None,
    ) -> None:
        """Say what is wanted of some models from now on. Any thread, never blocks.

        gone: models of which nothing is wanted any more, and nothing need be known. first: these are all models that
        there are at the start. again: what of them has failed is tried again now. told: hears what became of each of
        these models.
        """
        self._agenda.put(partial(self._want, (*candidates,), frozenset(gone), first, again, told))

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
        self._swaps.freeze()
        self._loaders.freeze()

    def drain(self, timeout: float) -> bool:
        """Refuse requests on every version and wait for those that are on their way; False on `timeout` seconds."""
        self.freeze()
        self._agenda.put(self._drain_all)
        return self._idle.wait(timeout)

    def close(self) -> None:
        """Close every version that `drain` has emptied. Loads that still run are left to end by themselves."""
        self._agenda.put(self._close_all)
        self._agenda.put(None)
        self._thread.join()
        self._closer.stop()
        self._loaders.stop()

    # The manager's thread. All below runs on it.

    def _work(self) -> None:
        while (task := self._agenda.get()) is not None:
            self._try(task)
            if self._swaps.drains or self._agenda.empty():
                self._try(self._publish)
        self._try(self._publish)

    @staticmethod
    def _try(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException:  # models are served on, whatever one of them brings up
            log.exception("the manager goes on without %r", task)

    def _publish(self) -> None:
        settled = self._first is not None and not self._first
        try:
            self._publisher.publish(settled)
        finally:
            self._swaps.drain()
            self._tell_ended()
            if settled:
                self._settled.set()
            if self._stopping and not any(model.drains for model in self._models.values()):
                self._idle.set()

    def _tell_ended(self) -> None:
        """Tell those who wait for what is published by now."""
        ended, self._ended = self._ended, []
        for model in ended:
            if model.ended:
                model.tell_ended()

    # What is wanted.

    def _want(
        self,
        candidates: Collection[Candidate],
        gone: Collection[str],
        first: bool,
        again: bool,
        told: Told | None,
    ) -> None:
        if first:
            self._first = {candidate.name for candidate in candidates}
        for candidate in candidates:
            self._try(partial(self._change, candidate, told, again=again))
        for name in gone:
            if name in self._models:
                self._try(partial(self._remove, name, told))
            elif told is not None:
                told(Ended())

    def _remove(self, name: str, told: Told | None) -> None:
        self._models[name].gone = True
        self._change(Candidate(name, {}, idle="removed"), told, gone=True)

    def _change(self, candidate: Candidate, told: Told | None, *, gone: bool = False, again: bool = False) -> None:
        model = self._models.setdefault(candidate.name, Model(Candidate(candidate.name, {})))
        before, model.candidate, model.gone = model.candidate, candidate, gone
        if before.identities != candidate.identities:
            model.supersede()
        if told is not None:
            model.watchers.append(told)
        if again:
            self._swaps.try_again(model)
        if candidate.problem and candidate.problem != before.problem:
            log.error("model %s cannot be served: %s", model.name, candidate.problem)
            self._publisher.failed(model.name)
        self._review(model)

    def _review(self, model: Model) -> None:
        """Bring what is closer to what is wanted, and show it."""
        if not self._frozen:
            candidate = model.candidate
            wanted = {number: wish.identity for number, wish in model.wanted.items()}
            actual = {number: slot.held for number, slot in model.slots.items()}
            for verb, number in next_actions(
                wanted, actual, time.monotonic(), waiting=candidate.waiting, present=candidate.present
            ):
                self._swaps.act(model, verb, number)
            self._swaps.resizing.review(model)
            self._swaps.admit(model)
        self._show(model)

    def _show(self, model: Model) -> None:
        model.tidy()
        self._publisher.tell(model.name, model.standings(), model.candidate.problem, model.candidate.idle)
        self._publisher.serve(model.name, model.served())
        if model.ended:
            self._ended.append(model)
            if self._first:
                self._first.discard(model.name)
        if model.gone and not (model.slots or model.leaving or model.standby):
            del self._models[model.name]
            self._publisher.forget(model.name)

    # Stopping. What drains stays in the engine's map until it is closed: its statistics can be read to the end.

    def _drain_all(self) -> None:
        self._stopping = True
        for model in [*self._models.values()]:
            self._try(partial(self._swaps.leave_all, model))
            self._show(model)

    def _close_all(self) -> None:
        unused = []
        for model in self._models.values():
            for generation in model.alive:
                if generation.record.phase is Phase.UNLOADED and generation.loaded is not None:
                    unused.append((f"model {model.name} version {generation.number}", generation.loaded))
                    generation.loaded = None
            self._publisher.serve(model.name, model.served())
        self._try(self._publish)
        for subject, loaded in unused:
            close(loaded, subject)
