"""What one thread has to do next: what it is told, in order, and what is due at a time."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from itertools import count
from queue import Empty, SimpleQueue

Task = Callable[[], None]

LONGEST_WAIT = 3600.0
"""Seconds; more than an hour is not worth a timer."""


class Agenda:
    """`put` may be called from any thread, all else from the one that works it off."""

    def __init__(self) -> None:
        self._told: SimpleQueue[Task | None] = SimpleQueue()
        self._planned: list[tuple[float, int, Task]] = []
        self._serial = count()

    def put(self, task: Task | None) -> None:
        self._told.put(task)

    def put_at(self, when: float, task: Task) -> None:
        """Have `task` given at `when`, in `time.monotonic` seconds."""
        heapq.heappush(self._planned, (when, next(self._serial), task))

    def empty(self) -> bool:
        """Whether `get` would wait."""
        return self._told.empty() and not self._is_due()

    def get(self) -> Task | None:
        """Wait for the next task; what is due goes first."""
        while not self._is_due():
            try:
                return self._told.get(timeout=self._until_due())
            except Empty:
                continue
        return heapq.heappop(self._planned)[2]

    def _is_due(self) -> bool:
        return bool(self._planned) and self._planned[0][0] <= time.monotonic()

    def _until_due(self) -> float | None:
        return min(max(0.0, self._planned[0][0] - time.monotonic()), LONGEST_WAIT) if self._planned else None
