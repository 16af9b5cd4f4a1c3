"""How a version's requests come to its instances: the seam for scheduling, and dynamic batching behind it.

A strategy owns the queue and the free instances. Its methods are called with the version's lock held, which
decides every move of a request; nothing here blocks, answers or runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from naiad.core.config import ModelConfig
from naiad.core.errors import NaiadError
from naiad.core.instance import Instance
from naiad.core.pending import Pending
from naiad.core.queue import BatchQueue
from naiad.core.types import InferResponse

Outcome = InferResponse | NaiadError


class Run(NamedTuple):
    """Requests to run on an instance that was taken for them."""

    instance: Instance
    entries: list[Pending]
    taken_ns: int


class Strategy(Protocol):
    @property
    def ordered(self) -> bool:
        """Whether replies must leave in the order in which `answered` gives them."""

    def submit(self, pending: Pending) -> None:
        """Queue a request; raises Rejected when full."""

    def withdraw(self, pending: Pending) -> None:
        """Take a QUEUED request out."""

    def ready_ns(self) -> int | None:
        """When `take` will give something (in the past: now); None while nothing waits or no instance is free."""

    def take(self, now_ns: int, instance: Instance | None) -> tuple[Run | None, Sequence[Pending]]:
        """The run that is due, on `instance` or any free one; and the requests found expired, which are DONE."""

    def release(self, instance: Instance) -> None:
        """An instance is free again."""

    def answered(self, outcomes: Sequence[tuple[Pending, Outcome | None]]) -> Sequence[tuple[Pending, Outcome]]:
        """Take the outcomes of requests that are DONE; give those that may be sent now.

        None: the request ended before its run and was answered already; nothing must wait for it.
        """

    def drain(self) -> Sequence[Pending]:
        """Take out all that is queued, as DONE."""

    def __len__(self) -> int:
        """Requests that wait."""


class Batcher:
    """Dynamic batching, or one by one where the config does not ask for it."""

    def __init__(self, config: ModelConfig, instances: Sequence[Instance], limit: int) -> None:
        self._queue: BatchQueue[Pending] = BatchQueue(config.max_batch_size, config.dynamic_batching, limit)
        self._free = list(instances)
        ordered = config.dynamic_batching is not None and config.dynamic_batching.preserve_ordering
        self._order = ArrivalOrder() if ordered else None

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def ordered(self) -> bool:
        return self._order is not None

    def submit(self, pending: Pending) -> None:
        self._queue.push(pending)
        if self._order is not None:
            self._order.arrived(pending)

    def withdraw(self, pending: Pending) -> None:
        self._queue.remove(pending)

    def ready_ns(self) -> int | None:
        return self._queue.due_ns() if self._free else None

    def take(self, now_ns: int, instance: Instance | None) -> tuple[Run | None, Sequence[Pending]]:
        if not self._free or (instance is not None and instance not in self._free):
            return None, ()
        expired: list[Pending] = []
        while (taken := self._queue.take(now_ns)) is not None:
            expired += taken.expired
            if taken.batch:
                return Run(self._occupy(instance), taken.batch, now_ns), expired
        return None, expired

    def _occupy(self, instance: Instance | None) -> Instance:
        if instance is None:
            return self._free.pop()
        self._free.remove(instance)
        return instance

    def release(self, instance: Instance) -> None:
        self._free.append(instance)

    def answered(self, outcomes: Sequence[tuple[Pending, Outcome | None]]) -> Sequence[tuple[Pending, Outcome]]:
        if self._order is not None:
            return self._order.answered(outcomes)
        return [(pending, outcome) for pending, outcome in outcomes if outcome is not None]

    def drain(self) -> Sequence[Pending]:
        return list(self._queue.drain())


class ArrivalOrder:
    """Holds back replies until all earlier requests have theirs (`preserve_ordering`)."""

    def __init__(self) -> None:
        self._waiting: deque[Pending] = deque()
        self._held: dict[Pending, Outcome | None] = {}

    def arrived(self, pending: Pending) -> None:
        self._waiting.append(pending)

    def answered(self, outcomes: Iterable[tuple[Pending, Outcome | None]]) -> Sequence[tuple[Pending, Outcome]]:
        """Add outcomes (None: answered already, nobody need wait for it); give those whose turn has come."""
        self._held.update(outcomes)
        released: list[tuple[Pending, Outcome]] = []
        while self._waiting and self._waiting[0] in self._held:
            pending = self._waiting.popleft()
            outcome = self._held.pop(pending)
            if outcome is not None:
                released.append((pending, outcome))
        return released
