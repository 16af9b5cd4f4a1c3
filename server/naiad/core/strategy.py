"""How a version's requests come to its instances: the seam for scheduling, and dynamic batching behind it.

A strategy owns the queue and the free instances. Its methods are called with the version's lock held, which
decides every move of a request; nothing here blocks, answers or runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from naiad.core.config import ModelConfig
from naiad.core.errors import NaiadError, Rejected
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

    def answered(self, outcomes: Sequence[tuple[Pending, Outcome]]) -> Sequence[tuple[Pending, Outcome]]:
        """Take the outcomes of requests that ran; give those that may be sent now."""

    def abandoned(self, pendings: Sequence[Pending]) -> Sequence[tuple[Pending, Outcome]]:
        """Requests ended otherwise and were answered: nothing must wait for them. Gives what may be sent now."""

    def resize(self, instances: Sequence[Instance], limit: int) -> Sequence[Instance]:
        """Have other instances, and room for so many; gives those that are busy and leave when they are released."""

    def drain(self) -> Sequence[Pending]:
        """Take out all that is queued, as DONE."""

    def __len__(self) -> int:
        """Requests that wait."""

    @property
    def limit(self) -> int:
        """The most requests that may wait."""


class Batcher:
    """Dynamic batching, or one by one where the config does not ask for it.

    limit: the most requests that wait, and the most replies that are held back for earlier ones.
    """

    def __init__(self, config: ModelConfig, instances: Sequence[Instance], limit: int) -> None:
        self._queue: BatchQueue[Pending] = BatchQueue(config.max_batch_size, config.dynamic_batching, limit)
        self._limit = limit
        self._instances = set(instances)
        self._free = list(instances)
        ordered = config.dynamic_batching is not None and config.dynamic_batching.preserve_ordering
        self._order = ArrivalOrder() if ordered else None

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def limit(self) -> int:
        return self._queue.limit

    @property
    def ordered(self) -> bool:
        return self._order is not None

    def submit(self, pending: Pending) -> None:
        if self._order is None:
            self._queue.push(pending)
            return
        if self._order.held >= self._limit:
            raise Rejected("Exceeds maximum queue size")
        self._queue.push(pending)
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
        if instance in self._instances:
            self._free.append(instance)

    def resize(self, instances: Sequence[Instance], limit: int) -> Sequence[Instance]:
        busy = self._instances.difference(self._free)
        before, self._instances = self._instances, set(instances)
        self._free = [i for i in self._free if i in self._instances] + [i for i in instances if i not in before]
        self._limit = self._queue.limit = limit
        return [instance for instance in busy if instance not in self._instances]

    def answered(self, outcomes: Sequence[tuple[Pending, Outcome]]) -> Sequence[tuple[Pending, Outcome]]:
        return outcomes if self._order is None else self._order.answered(outcomes)

    def abandoned(self, pendings: Sequence[Pending]) -> Sequence[tuple[Pending, Outcome]]:
        return () if self._order is None else self._order.abandoned(pendings)

    def drain(self) -> Sequence[Pending]:
        return list(self._queue.drain())


class ArrivalOrder:
    """Holds back replies until all earlier requests have theirs (`preserve_ordering`)."""

    def __init__(self) -> None:
        self._waiting: deque[Pending] = deque()
        self._held: dict[Pending, Outcome] = {}
        self._gone: set[Pending] = set()

    @property
    def held(self) -> int:
        """Replies that are held back."""
        return len(self._held)

    def arrived(self, pending: Pending) -> None:
        self._waiting.append(pending)

    def answered(self, outcomes: Sequence[tuple[Pending, Outcome]]) -> Sequence[tuple[Pending, Outcome]]:
        """Add outcomes; give those whose turn has come."""
        self._held.update(outcomes)
        return self._release()

    def abandoned(self, pendings: Sequence[Pending]) -> Sequence[tuple[Pending, Outcome]]:
        """Wait no longer for `pendings`; give the outcomes whose turn has come."""
        self._gone.update(pendings)
        if 2 * len(self._gone) > len(self._waiting):
            self._waiting = deque(pending for pending in self._waiting if pending not in self._gone)
            self._gone.clear()
        return self._release()

    def _release(self) -> Sequence[tuple[Pending, Outcome]]:
        released: list[tuple[Pending, Outcome]] = []
        waiting = self._waiting
        while waiting:
            pending = waiting[0]
            if pending in self._held:
                released.append((pending, self._held.pop(pending)))
            elif pending in self._gone:
                self._gone.remove(pending)
            else:
                break
            waiting.popleft()
        return released
