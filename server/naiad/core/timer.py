"""Things that happen at a time: one thread for all deadlines of the process.

Entries are kept in slots of one millisecond, so that adding one and taking one back cost the same however many
there are, and an entry that is taken back leaves nothing behind.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable
from threading import Lock, Thread
from typing import Protocol

from naiad.core.waiter import LONGEST_WAIT, ConditionWaiter

SLOT_NS = 1_000_000


class Expiring(Protocol):
    @property
    def expires_ns(self) -> int | None:
        """When, in `time.monotonic_ns`; must not change while the timer has it."""

    def expire(self) -> None:
        """Called once on the timer's thread, up to a slot late, unless discarded before. Must not raise."""


class Timer:
    """Thread-safe. `start` and `stop` once each; entries left at `stop` never expire."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._slots: dict[int, dict[Expiring, None]] = {}
        self._order: list[int] = []
        self._waiter = ConditionWaiter()
        self._stopping = False
        self._thread = Thread(target=self._run, name="naiad-timer", daemon=True)

    def __len__(self) -> int:
        with self._lock:
            return sum(map(len, self._slots.values()))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._waiter.kick()
        self._thread.join()

    def add(self, entry: Expiring) -> None:
        """Have `entry.expire()` called at its time."""
        slot = self._slot(entry)
        with self._lock:
            entries = self._slots.get(slot)
            if entries is not None:
                entries[entry] = None
                return
            self._slots[slot] = {entry: None}
            heapq.heappush(self._order, slot)
            first = self._order[0] == slot
        if first:
            self._waiter.kick()

    def discard(self, entries: Iterable[Expiring]) -> None:
        """Forget entries; those that are not (or no longer) there are ignored."""
        with self._lock:
            for entry in entries:
                slot = self._slot(entry)
                waiting = self._slots.get(slot)
                if waiting is not None:
                    waiting.pop(entry, None)
                    if not waiting:
                        del self._slots[slot]
            if len(self._order) > 2 * len(self._slots) + 64:
                self._order = list(self._slots)
                heapq.heapify(self._order)

    @staticmethod
    def _slot(entry: Expiring) -> int:
        if entry.expires_ns is None:
            raise ValueError("an entry without a time does not expire")
        return -(-entry.expires_ns // SLOT_NS)

    def _run(self) -> None:
        while not self._stopping:
            due, wait = self._due(time.monotonic_ns())
            _expire(due)
            if not due:
                self._waiter.wait(wait)

    def _due(self, now_ns: int) -> tuple[list[Expiring], float | None]:
        """What is due, and else the seconds until something is."""
        due: list[Expiring] = []
        with self._lock:
            while self._order and self._order[0] * SLOT_NS <= now_ns:
                due.extend(self._slots.pop(heapq.heappop(self._order), ()))
            wait = min((self._order[0] * SLOT_NS - now_ns) / 1e9, LONGEST_WAIT) if self._order else None
        return due, wait


def _expire(due: Iterable[Expiring]) -> None:
    """Tell them. In a function of its own: the thread holds none of them while it waits."""
    for entry in due:
        entry.expire()
