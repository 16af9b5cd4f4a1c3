"""From one generation of a version to the next: loads, switches, goes back, lets go. Runs on the manager's thread.

What is to happen is decided elsewhere; this does it, and hears how it went. A generation serves, comes or leaves; what
leaves is first published as gone and then drained, so that nobody looks it up any more while it refuses.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, ParamSpec

from naiad.core.errors import Unavailable
from naiad.core.lifecycle import Phase, Record, Verb, retry_after
from naiad.core.waiting import WaitingRoom
from naiad.repository import telling
from naiad.repository.agenda import Agenda
from naiad.repository.closing import Closer
from naiad.repository.generations import Generation, Model
from naiad.repository.loaders import GIVEN_UP, STOPPING, Loaders, Outcome
from naiad.repository.loading import Loaded
from naiad.repository.publishing import Publisher
from naiad.repository.resizing import Resizing, subject
from naiad.repository.rollback import Trial, Trust

log = logging.getLogger(__name__)

P = ParamSpec("P")


Rooms = Callable[[int, int], WaitingRoom]
"""Makes a waiting room for requests that wait for a version number, and at most so many."""


class Hands(NamedTuple):
    """What swaps are made with."""

    agenda: Agenda
    publisher: Publisher
    loaders: Loaders
    closer: Closer
    rooms: Rooms


class Swaps:
    """review: brings a model closer to what is wanted, and shows it; called when something of it has ended.

    retries: what fails to load is tried again, unless what serves is unloaded for it. trust: when a version that was
    swapped in goes back, None for never.
    """

    def __init__(self, hands: Hands, review: Callable[[Model], None], *, retries: bool, trust: Trust | None) -> None:
        self._agenda, self._publisher, self._loaders, self._closer, self._rooms = hands
        self._review = review
        self._retries = retries
        self._trust = trust
        self._to_drain: list[tuple[Model, Generation]] = []
        self._frozen = False
        self.resizing = Resizing(self._agenda, self._loaders, self._close)

    def freeze(self) -> None:
        """Swap nothing any more, and begin no loads. Any thread."""
        self._frozen = True

    @property
    def drains(self) -> bool:
        """Whether something waits to be published as gone, and then to be drained."""
        return bool(self._to_drain)

    def act(self, model: Model, verb: Verb, number: int) -> None:
        slot = model.slot(number)
        if verb is Verb.LOAD:
            self._load(model, number)
        elif verb is Verb.DROP:
            slot.coming = None
        elif slot.serving is not None:
            going, slot.serving = slot.serving, None
            self._let_go(model, going)

    # Loading.

    def _load(self, model: Model, number: int) -> None:
        wish, slot = model.wanted[number], model.slot(number)
        if wish.replace and not isinstance(wish.load, str) and self._makes_room(model, number):
            return
        before, now = slot.coming, time.monotonic()
        slot.coming = generation = Generation(number, wish, Record(Phase.SETTLED, now).to(Phase.LOADING, now))
        if before is not None and before.wish.identity == wish.identity:
            generation.failures = before.failures
        model.past.pop(number, None)
        if isinstance(wish.load, str):
            self._failed(model, generation, wish.load, again=False)
            return
        telling.moved(model.name, generation, Record(Phase.SETTLED, now))
        self._loaders.load(
            subject(model, generation),
            partial(wish.load, lambda phase: self._later(self._progressed, model, generation, phase)),
            lambda outcome: self._later(self._load_ended, model, generation, outcome),
        )

    def _later(self, task: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Hear from another thread."""
        self._agenda.put(partial(task, *args, **kwargs))

    def _makes_room(self, model: Model, number: int) -> bool:
        """Let go what a version is to take the place of; whether that is still to be waited for."""
        wanted = model.candidate.identities
        going = [
            generation for generation in model.serving if wanted.get(generation.number) != generation.wish.identity
        ]
        if model.room is None and going:
            limits = [generation.loaded.version.queue_limit for generation in going if generation.loaded]
            model.room = self._rooms(number, max(limits, default=0))
        for generation in going:
            model.slots[generation.number].serving = None
            if generation.number != number:
                model.fallback[generation.number] = generation.wish
            self._leave(model, generation)
        if model.standby is not None:
            standby, model.standby = model.standby, None
            self._leave(model, standby)
        return bool(model.leaving)

    def admit(self, model: Model) -> None:
        """Have those who wait served when something serves, and told when nothing comes any more."""
        room, latest = model.room, model.latest
        if room is None:
            return
        if latest is not None and latest.loaded is not None:
            model.room = None
            room.open(latest.loaded.version)
        elif not model.leaving and all(generation.awaited.failed for generation in model.coming):
            model.room = None
            room.close(Unavailable(f"Request for unknown model: '{model.name}' has no available versions"))

    def _progressed(self, model: Model, generation: Generation, phase: Phase) -> None:
        if model.awaits(generation) and generation.record.phase is Phase.LOADING:
            _move(model, generation, phase)
            self._review(model)

    def _load_ended(self, model: Model, generation: Generation, outcome: Outcome) -> None:
        awaited = model.awaits(generation)
        if isinstance(outcome, str):
            if awaited:
                self._failed(model, generation, outcome, again=not outcome.startswith(GIVEN_UP))
        elif awaited and not self._frozen:
            generation.loaded = outcome
            self._switch(model, generation)
        else:
            self._closer.close(outcome, subject(model, generation))
            if awaited:
                self._failed(model, generation, STOPPING, again=False)
        self._review(model)

    def _failed(self, model: Model, generation: Generation, reason: str, *, again: bool) -> None:
        generation.failures += 1
        _move(model, generation, Phase.FAILED, reason)
        self._publisher.failed(model.name)
        if again and self._retries and not generation.wish.replace:
            generation.retry_at = time.monotonic() + retry_after(generation.failures)
            self._agenda.put_at(generation.retry_at, partial(self._review, model))

    def try_again(self, model: Model) -> None:
        """Have what failed to load be due by now."""
        for generation in model.coming:
            if generation.awaited.failed:
                generation.retry_at = time.monotonic()

    def _switch(self, model: Model, generation: Generation) -> None:
        """Have what is loaded serve; what it takes the place of is let go."""
        slot = model.slot(generation.number)
        old, slot.serving, slot.coming = slot.serving, generation, None
        generation.load_seconds = time.monotonic() - generation.begun
        _move(model, generation, Phase.READY)
        self._publisher.loaded(model.name, generation.load_seconds)
        if old is not None:
            self._let_go(model, old)

    # Going back.

    def _let_go(self, model: Model, generation: Generation) -> None:
        """Drain what has served: at once, or when what took its place has proved itself."""
        successor = model.latest
        if self._trust is None or successor is None or successor.loaded is None:
            self._leave(model, generation)
            return
        if model.standby is not None:
            self._leave(model, model.standby)
        model.standby = generation
        _move(model, generation, Phase.STANDBY)
        trial = Trial(self._trust, successor.loaded.version, time.monotonic())
        self._agenda.put_at(trial.next_look, partial(self._judge, model, successor, generation, trial))

    def _judge(self, model: Model, successor: Generation, standby: Generation, trial: Trial) -> None:
        now = time.monotonic()
        if model.standby is not standby or self._frozen:
            return
        verdict = trial.verdict() if model.serves(successor) else ""
        if verdict:
            self._go_back(model, successor, standby, verdict)
        elif trial.over(now):
            model.standby = None
            self._leave(model, standby)
        else:
            self._agenda.put_at(trial.look_again(now), partial(self._judge, model, successor, standby, trial))
            return
        self._review(model)

    def _go_back(self, model: Model, successor: Generation, standby: Generation, verdict: str) -> None:
        """Have what served before serve again. Its successor counts as failed as long as its files stay as they are."""
        log.error("%s is rolled back: %s", subject(model, successor), verdict)
        now = time.monotonic()
        rejected = Record(Phase.LOADING, now).to(Phase.FAILED, now, f"rolled back: {verdict}")
        slot = model.slot(successor.number)
        slot.serving, slot.coming = None, Generation(successor.number, successor.wish, rejected)
        model.standby, model.slot(standby.number).serving = None, standby
        _move(model, standby, Phase.READY)
        self._publisher.rolled_back(model.name)
        self._leave(model, successor)

    # Leaving.

    def leave_all(self, model: Model) -> None:
        """Drain all that serves or might serve again; it stays in the engine's map, where it refuses by itself."""
        if model.room is not None:
            model.room.close(Unavailable("Server exiting"))
            model.room = None
        for generation in model.alive:
            _move(model, generation, Phase.DRAINING)
            self._to_drain.append((model, generation))

    def _leave(self, model: Model, generation: Generation) -> None:
        _move(model, generation, Phase.DRAINING)
        model.leaving.append(generation)
        self._to_drain.append((model, generation))

    def drain(self) -> None:
        """Drain what was published as gone."""
        draining, self._to_drain = self._to_drain, []
        for model, generation in draining:
            if generation.loaded is not None:
                generation.loaded.version.drain(partial(self._agenda.put, partial(self._drained, model, generation)))

    def _drained(self, model: Model, generation: Generation) -> None:
        self._publisher.drained(model.name, time.monotonic() - generation.record.since)
        if generation in model.leaving and generation.loaded is not None:
            if not generation.resizing:
                self._close(model, generation, generation.loaded)
            return
        _move(model, generation, Phase.UNLOADED, "unloaded")
        self._review(model)

    def _close(self, model: Model, generation: Generation, loaded: Loaded) -> None:
        closed = partial(self._later, self._closed, model, generation)
        self._closer.close(loaded, subject(model, generation), closed)

    def _closed(self, model: Model, generation: Generation) -> None:
        generation.loaded = None
        _move(model, generation, Phase.UNLOADED, "unloaded")
        model.leaving.remove(generation)
        number = generation.number
        if number not in model.slots:
            model.past[number] = generation.record
        self._review(model)


def _move(model: Model, generation: Generation, phase: Phase, reason: str = "") -> None:
    before = generation.record
    generation.record = before.to(phase, time.monotonic(), reason)
    telling.moved(model.name, generation, before)
