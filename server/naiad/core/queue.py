"""Which requests form the next batch, when it is due, and who has expired. Pure: time is handed in.

Requests of different shapes wait in buckets of their own, so that alternating shapes do not break up batches.
A bucket is *ripe* when a preferred size (or a full batch) stands in it, *late* when its oldest request has
waited for the queue delay; either makes it due. Without a delay whatever waits is due. The oldest late bucket
goes first, then ripe ones in the order they ripened.

An entry that left the queue out of order stays in the deques until it comes to the front; each deque is swept when
such entries outnumber the live ones, so that removing is O(1) and memory is bounded by what is queued.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Generic, NamedTuple, Protocol, TypeVar

from naiad.core.config import DynamicBatching
from naiad.core.errors import Rejected
from naiad.core.pending import DONE, QUEUED, RUNNING, State
from naiad.core.validation import Plan


class Entry(Protocol):
    """What the queue needs of a Pending. It moves `state` from QUEUED to RUNNING (take) or DONE (remove)."""

    state: State
    queued_ns: int
    taken_ns: int
    expires_ns: int | None

    @property
    def plan(self) -> Plan: ...


E = TypeVar("E", bound=Entry)


class Taken(NamedTuple, Generic[E]):
    """The next batch, and the requests found expired on the way: those are DONE and must be answered."""

    batch: list[E]
    expired: list[E]


class _Bucket(Generic[E]):
    __slots__ = ("entries", "live", "rows")

    def __init__(self) -> None:
        self.entries: deque[E] = deque()
        self.live = 0
        self.rows = 0


_MARGIN = 64
"""How many taken entries the fifo may keep on top: what is taken mostly stands at its front and leaves by itself."""


class BatchQueue(Generic[E]):
    """A bounded queue of one version. Not thread-safe: the version's lock guards it.

    max_batch_size: the most rows of a batch; 0 or `batching` None: every request runs alone.
    limit: the most requests that wait.
    """

    def __init__(self, max_batch_size: int, batching: DynamicBatching | None, limit: int) -> None:
        self._single = batching is None or max_batch_size <= 1
        preferred = frozenset(batching.preferred_batch_size) if batching else frozenset[int]()
        self._preferred = preferred or frozenset({max_batch_size})
        self._most = max(self._preferred)
        self._delay_ns = batching.max_queue_delay_microseconds * 1000 if batching and not self._single else 0
        self.limit = limit
        self._fifo: deque[E] = deque()
        self._buckets: dict[object, _Bucket[E]] = {}
        self._ripe: dict[object, None] = {}
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def push(self, entry: E) -> None:
        """Append; raises Rejected when `limit` requests wait already."""
        if self._live >= self.limit:
            raise Rejected("Exceeds maximum queue size")
        plan = entry.plan
        bucket = self._buckets.get(plan.key)
        if bucket is None:
            bucket = self._buckets[plan.key] = _Bucket()
        bucket.entries.append(entry)
        bucket.live += 1
        bucket.rows += plan.rows
        self._fifo.append(entry)
        self._live += 1
        if self._delay_ns and plan.key not in self._ripe and self._is_ripe(bucket):
            self._ripe[plan.key] = None

    def remove(self, entry: E) -> None:
        """Take a QUEUED entry out, whatever the reason; its place is free at once."""
        entry.state = DONE
        self._forget(entry)
        key = entry.plan.key
        if self._delay_ns:
            self._mark(key)
        bucket = self._buckets[key]
        if bucket.live:
            bucket.entries = _swept(bucket.entries, 2 * bucket.live)
        else:
            del self._buckets[key]
        self._fifo = _swept(self._fifo, 2 * self._live)

    def _mark(self, key: object) -> None:
        """Keep `_ripe` true of a bucket that has lost entries: what is left may have become a preferred size."""
        if self._is_ripe(self._buckets[key]):
            self._ripe[key] = None
        else:
            self._ripe.pop(key, None)

    def due_ns(self) -> int | None:
        """When the next batch is due (in the past: now), or None when nothing waits."""
        head = self._head()
        if head is None:
            return None
        if not self._delay_ns or self._ripe:
            return head.queued_ns
        return head.queued_ns + self._delay_ns

    def take(self, now_ns: int) -> Taken[E] | None:
        """Take the batch that is due at `now_ns`, or None. The batch is empty when all that was due had expired."""
        head = self._head()
        if head is None:
            return None
        if head.queued_ns + self._delay_ns <= now_ns:
            return self._take_from(head.plan.key, self._most, now_ns)
        if not self._ripe:
            return None
        key = next(iter(self._ripe))
        return self._take_from(key, min(self._ripe_rows(self._buckets[key]), self._most), now_ns)

    def drain(self) -> Iterable[E]:
        """Take everything out, oldest first, as DONE."""
        entries = [entry for entry in self._fifo if entry.state is QUEUED]
        for entry in entries:
            entry.state = DONE
        self._fifo.clear()
        self._buckets.clear()
        self._ripe.clear()
        self._live = 0
        return entries

    def _take_from(self, key: object, room: int, now_ns: int) -> Taken[E]:
        bucket = self._buckets[key]
        taken: Taken[E] = Taken([], [])
        entries = bucket.entries
        while entries:
            entry = entries[0]
            if entry.state is not QUEUED:
                entries.popleft()
                continue
            if entry.expires_ns is not None and entry.expires_ns <= now_ns:
                entry.state = DONE
                taken.expired.append(entry)
            elif entry.plan.rows <= room or not taken.batch:
                entry.state = RUNNING
                entry.taken_ns = now_ns
                taken.batch.append(entry)
                room -= entry.plan.rows
            else:
                break
            entries.popleft()
            self._forget(entry)
            if taken.batch and (room <= 0 or self._single):
                break
        if self._delay_ns:
            self._mark(key)
        if bucket.live:
            bucket.entries = _swept(entries, 2 * bucket.live)
        else:
            del self._buckets[key]
        self._fifo = _swept(self._fifo, 2 * self._live + _MARGIN)
        return taken

    def _forget(self, entry: E) -> None:
        bucket = self._buckets[entry.plan.key]
        bucket.live -= 1
        bucket.rows -= entry.plan.rows
        self._live -= 1

    def _head(self) -> E | None:
        fifo = self._fifo
        while fifo:
            if fifo[0].state is QUEUED:
                return fifo[0]
            fifo.popleft()
        return None

    def _is_ripe(self, bucket: _Bucket[E]) -> bool:
        return self._ripe_rows(bucket) > 0

    def _ripe_rows(self, bucket: _Bucket[E]) -> int:
        """How many rows may go before the delay is over, 0 when the bucket should go on waiting.

        The largest preferred size at a request's end, or what fits when the next request would not.
        """
        if bucket.rows < min(self._preferred):
            return 0
        rows = best = 0
        for entry in bucket.entries:
            if entry.state is not QUEUED:
                continue
            if rows + entry.plan.rows > self._most:
                return best or rows or entry.plan.rows
            rows += entry.plan.rows
            if rows in self._preferred:
                best = rows
        return best


def _swept(entries: deque[E], most: int) -> deque[E]:
    """`entries`, or only those of them that are QUEUED when there are more than `most`."""
    if len(entries) <= most:
        return entries
    return deque(entry for entry in entries if entry.state is QUEUED)
