"""What the queue's tests share: requests that only wait, and the queue's rules written to be read, not to be fast."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate

from naiad.core.config import DynamicBatching
from naiad.core.pending import State
from naiad.core.queue import BatchQueue, Taken
from naiad.core.types import ResponseHead
from naiad.core.validation import BatchKey, Plan

KEYS = [BatchKey(((n,),)) for n in range(3)]


@dataclass(eq=False)
class Waiting:
    """What the queue needs of a request."""

    plan: Plan
    queued_ns: int
    expires_ns: int | None = None
    state: State = State.QUEUED
    taken_ns: int = 0

    @property
    def key(self) -> BatchKey:
        return self.plan.key

    @property
    def rows(self) -> int:
        return self.plan.rows


def waiting(rows: int = 1, key: BatchKey = KEYS[0], at: int = 0, expires: int | None = None) -> Waiting:
    plan = Plan(
        rows=rows,
        key=key,
        order=(0,),
        expected=(),
        head=ResponseHead("m", "1", ()),
        picks=None,
        parameters={},
        timeout_ns=0,
        nbytes=-1,
    )
    return Waiting(plan, at, expires)


def queue_of(
    max_batch_size: int = 8, *, preferred: tuple[int, ...] = (), delay_us: int = 0, limit: int = 100
) -> BatchQueue[Waiting]:
    return BatchQueue(max_batch_size, DynamicBatching(preferred, delay_us), limit)


@dataclass
class Reference:
    """Plain lists, all of them looked at each time."""

    max_batch_size: int
    preferred: tuple[int, ...]
    delay: int
    limit: int
    waiting: list[Waiting] = field(default_factory=list)
    ripe: list[BatchKey] = field(default_factory=list)

    @property
    def most(self) -> int:
        return max(self.preferred)

    def bucket(self, key: BatchKey) -> list[Waiting]:
        return [entry for entry in self.waiting if entry.key is key]

    def ripe_rows(self, key: BatchKey) -> int:
        """Rows that may go early: the largest preferred size, or whatever fits when the next request does not."""
        sums = list(accumulate(entry.rows for entry in self.bucket(key)))
        fitting = [rows for rows in sums if rows <= self.most]
        exact = [rows for rows in fitting if rows in self.preferred]
        if exact:
            return max(exact)
        return max(fitting or sums[:1]) if len(fitting) < len(sums) else 0

    def pushed(self, entry: Waiting) -> None:
        self.waiting.append(entry)
        if self.delay and entry.key not in self.ripe and self.ripe_rows(entry.key):
            self.ripe.append(entry.key)

    def gone(self, entries: list[Waiting]) -> None:
        self.waiting = [entry for entry in self.waiting if entry not in entries]
        for key in {entry.key: None for entry in entries}:
            if self.delay and self.ripe_rows(key):
                self.ripe += [] if key in self.ripe else [key]
            else:
                self.ripe = [other for other in self.ripe if other is not key]

    def due(self) -> int | None:
        if not self.waiting:
            return None
        return self.waiting[0].queued_ns + (0 if self.ripe else self.delay)

    def late(self, now: int) -> bool:
        return bool(self.waiting) and self.waiting[0].queued_ns + self.delay <= now

    def take(self, now: int) -> Taken[Waiting] | None:
        if not self.waiting:
            return None
        if self.late(now):
            return self._take(self.waiting[0].key, self.most, now)
        return self._take(self.ripe[0], min(self.ripe_rows(self.ripe[0]), self.most), now) if self.ripe else None

    def _take(self, key: BatchKey, room: int, now: int) -> Taken[Waiting]:
        found: Taken[Waiting] = Taken([], [])
        for entry in self.bucket(key):
            if found.batch and (sum(e.rows for e in found.batch) >= room or self.max_batch_size <= 1):
                break
            if entry.expires_ns is not None and entry.expires_ns <= now:
                found.expired.append(entry)
            elif found.batch and sum(e.rows for e in found.batch) + entry.rows > room:
                break
            else:
                found.batch.append(entry)
        self.gone(found.batch + found.expired)
        return found
