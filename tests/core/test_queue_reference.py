"""The queue against a naive reference: whatever is done to both, they give the same."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from naiad.core.errors import Rejected
from naiad.core.pending import State
from naiad.core.queue import _MARGIN, Taken
from naiad.core.validation import BatchKey
from tests.core.reference_queue import KEYS, Reference, Waiting, queue_of, waiting


arrivals = st.tuples(
    st.sampled_from([1, 1, 2, 2, 3, 8]),
    st.sampled_from(KEYS),
    st.sampled_from([None, None, 5_000, 12_000, 30_000]),
)


class QueueAgainstReference(RuleBasedStateMachine):
    """Every step is done to both; what they give must be the same, and what a batch may be holds besides."""

    @initialize(
        max_batch_size=st.sampled_from([8, 8, 6, 1, 0]),
        preferred=st.lists(st.sampled_from([2, 3, 4, 5, 8]), max_size=3, unique=True),
        delay=st.sampled_from([0, 5, 20, 20]),
        limit=st.integers(4, 20),
    )
    def build(self, max_batch_size: int, preferred: list[int], delay: int, limit: int) -> None:
        sizes = tuple(size for size in preferred if size <= max_batch_size)
        self.queue = queue_of(max_batch_size, preferred=sizes, delay_us=delay, limit=limit)
        self.reference = Reference(
            max_batch_size, sizes or (max_batch_size,), delay * 1000 if max_batch_size > 1 else 0, limit
        )
        self.now = 0

    @rule(arrivals=st.lists(arrivals, min_size=1, max_size=6))
    def push(self, arrivals: list[tuple[int, BatchKey, int | None]]) -> None:
        for rows, key, lifetime in arrivals:
            entry = waiting(rows, key, self.now, None if lifetime is None else self.now + lifetime)
            if len(self.reference.waiting) >= self.reference.limit:
                with pytest.raises(Rejected, match=r"^Exceeds maximum queue size$"):
                    self.queue.push(entry)
                return
            self.queue.push(entry)
            self.reference.pushed(entry)

    @precondition(lambda self: self.reference.waiting)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        entry = data.draw(st.sampled_from(self.reference.waiting))
        self.queue.remove(entry)
        assert entry.state is State.DONE
        self.reference.gone([entry])

    @rule(us=st.integers(1, 15))
    def pass_time(self, us: int) -> None:
        self.now += us * 1000

    @rule()
    def take(self) -> None:
        head_late = self.reference.due() is not None and (
            self.reference.waiting[0].queued_ns + self.reference.delay <= self.now
        )
        expected = self.reference.take(self.now)
        found = self.queue.take(self.now)
        assert found == expected
        if found is None:
            return
        assert all(entry.state is State.RUNNING for entry in found.batch)
        assert all(entry.state is State.DONE for entry in found.expired)
        self._check_batch(found, head_late)

    def _check_batch(self, found: Taken[Waiting], head_late: bool) -> None:
        """What holds for every batch, said without the reference's own rules."""
        rows = sum(entry.rows for entry in found.batch)
        assert rows <= self.reference.most or len(found.batch) == 1
        assert len({id(entry.key) for entry in found.batch}) <= 1
        assert all(e.expires_ns is None or e.expires_ns > self.now for e in found.batch)
        rest = self.reference.bucket((found.batch + found.expired)[0].key)
        assert all(older.queued_ns <= younger.queued_ns for older in found.batch for younger in rest)
        if not head_late and not found.expired:
            full = bool(rest) and rows + rest[0].rows > self.reference.most
            assert rows in self.reference.preferred or rows > self.reference.most or full

    @precondition(lambda self: len(self.reference.waiting) > 8)
    @rule()
    def drain(self) -> None:
        entries = list(self.queue.drain())
        assert entries == self.reference.waiting
        assert all(entry.state is State.DONE for entry in entries)
        self.reference.gone(entries)

    @invariant()
    def says_the_same(self) -> None:
        assert len(self.queue) == len(self.reference.waiting)
        assert self.queue.due_ns() == self.reference.due()

    @invariant()
    def holds_no_more_than_it_must(self) -> None:
        assert len(self.queue._fifo) <= 2 * len(self.queue) + _MARGIN
        for key, bucket in self.queue._buckets.items():
            live = len(self.reference.bucket(key))  # type: ignore[arg-type]
            assert 0 < live <= len(bucket.entries) <= 2 * live


TestQueueAgainstReference = QueueAgainstReference.TestCase
TestQueueAgainstReference.settings = settings(max_examples=3000, stateful_step_count=40, deadline=None)
