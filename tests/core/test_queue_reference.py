"""The queue against a naive reference: whatever is done to both, they give the same.

Hypothesis looks for a short list of steps that shows a difference; long random walks come to states that it seldom
reaches.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from naiad.core.errors import Rejected
from naiad.core.pending import State
from naiad.core.queue import _MARGIN, Taken
from naiad.core.validation import BatchKey
from tests.core.reference_queue import KEYS, Reference, Waiting, queue_of, waiting

SIZES = [2, 3, 4, 5, 8]
ROWS = [1, 1, 2, 2, 3, 8]
LIFETIMES = [None, None, None, 5_000, 12_000, 30_000]


class Both:
    """A queue and its reference, to which the same happens. Times in nanoseconds."""

    def __init__(self, max_batch_size: int, preferred: list[int], delay_us: int, limit: int) -> None:
        sizes = tuple(size for size in preferred if size <= max_batch_size)
        delay = delay_us * 1000 if max_batch_size > 1 else 0
        self.queue = queue_of(max_batch_size, preferred=sizes, delay_us=delay_us, limit=limit)
        self.reference = Reference(max_batch_size, sizes or (max_batch_size,), delay, limit)
        self.now = 0

    def push(self, rows: int, key: BatchKey, lifetime: int | None) -> None:
        entry = waiting(rows, key, self.now, None if lifetime is None else self.now + lifetime)
        if len(self.reference.waiting) >= self.reference.limit:
            with pytest.raises(Rejected, match=r"^Exceeds maximum queue size$"):
                self.queue.push(entry)
            return
        self.queue.push(entry)
        self.reference.pushed(entry)

    def remove(self, entry: Waiting) -> None:
        self.queue.remove(entry)
        assert entry.state is State.DONE
        self.reference.gone([entry])

    def drain(self) -> None:
        entries = list(self.queue.drain())
        assert entries == self.reference.waiting
        assert all(entry.state is State.DONE for entry in entries)
        self.reference.gone(entries)

    def take(self) -> None:
        late = self.reference.late(self.now)
        expected, found = self.reference.take(self.now), self.queue.take(self.now)
        assert found == expected
        if found is not None:
            assert all(entry.state is State.RUNNING for entry in found.batch)
            assert all(entry.state is State.DONE for entry in found.expired)
            self._check_batch(found, late)

    def _check_batch(self, found: Taken[Waiting], late: bool) -> None:
        """What holds for every batch, said without the reference's own rules."""
        rows, most = sum(entry.rows for entry in found.batch), self.reference.most
        assert rows <= most or len(found.batch) == 1
        assert len({id(entry.key) for entry in found.batch}) <= 1
        assert all(e.expires_ns is None or e.expires_ns > self.now for e in found.batch)
        rest = self.reference.bucket((found.batch + found.expired)[0].key)
        assert all(older.queued_ns <= younger.queued_ns for older in found.batch for younger in rest)
        if not late and not found.expired:
            full = bool(rest) and rows + rest[0].rows > most
            assert rows in self.reference.preferred or rows > most or full

    def check(self) -> None:
        """What holds at any time; dead entries are bounded by the live ones."""
        assert len(self.queue) == len(self.reference.waiting)
        assert self.queue.due_ns() == self.reference.due()
        assert len(self.queue._fifo) <= 2 * len(self.queue) + _MARGIN
        for key in KEYS:
            live, bucket = len(self.reference.bucket(key)), self.queue._buckets.get(key)
            assert (bucket is None) == (live == 0)
            assert bucket is None or live <= len(bucket.entries) <= 2 * live


class QueueAgainstReference(RuleBasedStateMachine):
    @initialize(
        max_batch_size=st.sampled_from([8, 8, 6, 1, 0]),
        preferred=st.lists(st.sampled_from(SIZES), max_size=3, unique=True),
        delay_us=st.sampled_from([20, 5, 0]),
        limit=st.integers(4, 20),
    )
    def build(self, max_batch_size: int, preferred: list[int], delay_us: int, limit: int) -> None:
        self.both = Both(max_batch_size, preferred, delay_us, limit)

    @rule(rows=st.sampled_from(ROWS), key=st.sampled_from(KEYS), lifetime=st.sampled_from(LIFETIMES))
    def push(self, rows: int, key: BatchKey, lifetime: int | None) -> None:
        self.both.push(rows, key, lifetime)

    @precondition(lambda self: self.both.reference.waiting)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        self.both.remove(data.draw(st.sampled_from(self.both.reference.waiting)))

    @rule(us=st.integers(1, 15))
    def pass_time(self, us: int) -> None:
        self.both.now += us * 1000

    @rule()
    def take(self) -> None:
        self.both.take()

    @precondition(lambda self: len(self.both.reference.waiting) > 5)
    @rule()
    def drain(self) -> None:
        self.both.drain()

    @invariant()
    def agree(self) -> None:
        self.both.check()


TestQueueAgainstReference = QueueAgainstReference.TestCase
TestQueueAgainstReference.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)


def walk(both: Both, chance: random.Random, steps: int) -> None:
    """Do random things that keep the queue between empty and full."""
    for _ in range(steps):
        match chance.choices(["push", "remove", "take", "time", "drain"], [10, 3, 3, 3, 0.05])[0]:
            case "push":
                both.push(chance.choice(ROWS), chance.choice(KEYS), chance.choice(LIFETIMES))
            case "remove" if both.reference.waiting:
                both.remove(chance.choice(both.reference.waiting))
            case "take":
                both.take()
            case "time":
                both.now += chance.randrange(1, 8) * 1000
            case "drain":
                both.drain()
        both.check()


@pytest.mark.parametrize("seed", range(20))
def test_a_long_random_walk_shows_no_difference(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test that can be repeated needs no secrets
    for _ in range(10):
        preferred = chance.sample(SIZES, chance.randrange(4))
        both = Both(chance.choice([8, 8, 6, 1, 0]), preferred, chance.choice([20, 20, 5, 0]), chance.randrange(4, 20))
        walk(both, chance, 150)
