"""What a manager knows of one model: the generations of content that serve, come and leave, under their numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from naiad.core import history
from naiad.core.engine import Served
from naiad.core.history import Standing
from naiad.core.lifecycle import Coming, Held, Phase, Record
from naiad.core.waiting import WaitingRoom
from naiad.repository.loading import Loaded
from naiad.repository.wanted import Candidate, Wish


@dataclass(slots=True, eq=False)
class Generation:
    """Content under a version's number.

    failures: how often it failed to load, in a row. resizing: it is being given other instances. begun: when its load
    began, in `time.monotonic` seconds.
    """

    number: int
    wish: Wish
    record: Record
    loaded: Loaded | None = None
    failures: int = 0
    retry_at: float | None = None
    load_seconds: float | None = None
    resizing: bool = False
    begun: float = field(default_factory=time.monotonic)

    @property
    def awaited(self) -> Coming:
        return Coming(self.wish.identity, self.record.phase is Phase.FAILED, self.retry_at)


@dataclass(slots=True)
class Slot:
    """What serves under a number, and what is to take its place."""

    serving: Generation | None = None
    coming: Generation | None = None

    @property
    def held(self) -> Held:
        serving = None if self.serving is None else self.serving.wish.identity
        return Held(serving, None if self.coming is None else self.coming.awaited)


class Ended(NamedTuple):
    """What became of what was wanted of a model.

    failures: the versions that could not be loaded, and why. superseded: something else is wanted by now.
    """

    failures: Sequence[tuple[int, str]] = ()
    problem: str = ""
    superseded: bool = False


@dataclass(slots=True)
class Model:
    """What is wanted of a model, and what there is of it.

    standby: what served before the last swap, kept for a rollback. leaving: what drains or is closed. past: how
    versions ended that are gone. fallback: what served before something that took its place in memory. room: where
    requests wait for that.
    """

    candidate: Candidate
    slots: dict[int, Slot] = field(default_factory=dict)
    standby: Generation | None = None
    leaving: list[Generation] = field(default_factory=list)
    past: dict[int, Record] = field(default_factory=dict)
    fallback: dict[int, Wish] = field(default_factory=dict)
    room: WaitingRoom | None = None
    watchers: list[Callable[[Ended], None]] = field(default_factory=list)
    gone: bool = False

    @property
    def name(self) -> str:
        return self.candidate.name

    @property
    def wanted(self) -> Mapping[int, Wish]:
        """What is to serve: what the repository says, and where that has failed, what was unloaded for it."""
        failed = self.ended and not self._all_serve
        return {**self.fallback, **self.candidate.wanted} if failed else self.candidate.wanted

    @property
    def serving(self) -> list[Generation]:
        return [slot.serving for slot in self.slots.values() if slot.serving is not None]

    @property
    def coming(self) -> list[Generation]:
        return [slot.coming for slot in self.slots.values() if slot.coming is not None]

    @property
    def ended(self) -> bool:
        """Whether all that is wanted serves or has failed."""
        return all(self._has(number, wish.identity) for number, wish in self.candidate.wanted.items())

    @property
    def _all_serve(self) -> bool:
        return all(
            number in self.slots and self.slots[number].held.serving == identity
            for number, identity in self.candidate.identities.items()
        )

    def _has(self, number: int, identity: str) -> bool:
        held = self.slots[number].held if number in self.slots else Held()
        coming = held.coming
        return held.serving == identity or (coming is not None and coming.failed and coming.identity == identity)

    @property
    def alive(self) -> list[Generation]:
        """What serves, or may serve again."""
        return [*self.serving, *([self.standby] if self.standby is not None else [])]

    @property
    def latest(self) -> Generation | None:
        """What answers requests that name no version."""
        return max(self.serving, key=lambda generation: generation.number, default=None)

    def serves(self, generation: Generation) -> bool:
        slot = self.slots.get(generation.number)
        return slot is not None and slot.serving is generation

    def awaits(self, generation: Generation) -> bool:
        """Whether a load is still wanted."""
        slot = self.slots.get(generation.number)
        return slot is not None and slot.coming is generation

    @property
    def drains(self) -> bool:
        """Whether requests are on their way on something that is to go, or it is being closed."""
        return any(generation.record.phase is Phase.DRAINING for generation in (*self.alive, *self.leaving))

    def supersede(self) -> None:
        """Tell those who wait for the end of what was wanted that something else is."""
        self._tell(Ended(superseded=True))

    def tell_ended(self) -> None:
        """Tell those who wait that all that was wanted serves or has failed."""
        failures = [(g.number, g.record.reason) for g in self.coming if g.awaited.failed]
        self._tell(Ended(tuple(sorted(failures)), self.candidate.problem))

    def _tell(self, ended: Ended) -> None:
        watchers, self.watchers = self.watchers, []
        for told in watchers:
            told(ended)

    def slot(self, number: int) -> Slot:
        return self.slots.setdefault(number, Slot())

    def tidy(self) -> None:
        """Forget slots in which nothing is, how versions ended that were removed, and what is not to come back."""
        if not self.candidate.problem and self._all_serve:
            self.fallback.clear()
        for number in [n for n, slot in self.slots.items() if slot.serving is None and slot.coming is None]:
            del self.slots[number]
        if not self.candidate.idle:
            self.past = {n: record for n, record in self.past.items() if n in self.candidate.present}

    def served(self) -> Served:
        """What the engine's map has of the model."""
        ready = {g.number: g.loaded.version for g in self.serving if g.loaded is not None}
        known = frozenset({*self.slots, *self.past, *self.candidate.waiting, *(g.number for g in self.leaving)})
        return Served(ready, ready[max(ready)] if ready else None, known, self.room)

    def standings(self) -> dict[int, Standing]:
        """How each version stands, one that is known in whatever way."""
        found = {number: _past(record) for number, record in self.past.items()}
        found.update({n: Standing(Phase.WAITING, reason=reason) for n, reason in self.candidate.waiting.items()})
        for leaving in (*self.leaving, *([self.standby] if self.standby else ())):
            found[leaving.number] = _standing(leaving)
        for number, slot in self.slots.items():
            if slot.serving is not None:
                found[number] = _standing(slot.serving)._replace(coming=self._coming(number, slot.coming))
            elif slot.coming is not None:
                found[number] = _standing(slot.coming)
        return found

    def _coming(self, number: int, coming: Generation | None) -> history.Coming | None:
        if coming is not None:
            since = _day(coming.record.since)
            retry_at = coming.retry_at and _day(coming.retry_at)
            return history.Coming(coming.record.phase, coming.wish.identity, since, coming.record.reason, retry_at)
        reason = self.candidate.waiting.get(number)
        return None if reason is None else history.Coming(Phase.WAITING, "", 0, reason)


def _standing(of: Generation) -> Standing:
    record = of.record
    return Standing(
        record.phase,
        of.wish.identity,
        _day(record.since),
        record.reason,
        None if of.retry_at is None else _day(of.retry_at),
        load_seconds=of.load_seconds,
    )


def _past(record: Record) -> Standing:
    return Standing(record.phase, since=_day(record.since), reason=record.reason)


def _day(monotonic: float) -> float:
    """The time of day, in seconds since 1970, of a moment of the monotonic clock."""
    return monotonic - time.monotonic() + time.time()
