"""What a leading runner waits in: a condition here, a transport's `poll` where one drives the wire itself."""

from __future__ import annotations

from _thread import allocate_lock
from typing import Protocol

LONGEST_WAIT = 3600.0
"""Seconds. What waits longer than that looks up in between: timeouts have limits that clients could reach."""


class Waiter(Protocol):
    def wait(self, timeout: float | None) -> None:
        """Return when there may be work: after a kick (also one from before the call), or `timeout` seconds.

        One thread at a time. May return early for no reason. None waits for ever, 0 only looks, and no timeout is
        larger than LONGEST_WAIT.
        """

    def kick(self) -> None:
        """End the present or the next wait. Any thread, never blocks; kicks that nobody waited for are one."""


class ConditionWaiter:
    """A Waiter of one lock, which is held while there is nothing to do: cheaper and finer than a Condition."""

    def __init__(self) -> None:
        self._gate = allocate_lock()
        self._gate.acquire()
        self._kicked = False
        self._guard = allocate_lock()

    def wait(self, timeout: float | None) -> None:
        if self._gate.acquire(True, -1 if timeout is None else max(timeout, 0.0)):
            with self._guard:
                self._kicked = False

    def kick(self) -> None:
        with self._guard:
            if not self._kicked:
                self._kicked = True
                self._gate.release()
