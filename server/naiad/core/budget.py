"""Bytes in flight, for the whole process: what a queue bounded by count cannot bound."""

from __future__ import annotations

from threading import Lock
from typing import Protocol

from naiad.core.errors import Rejected


class Counter(Protocol):
    """Counts bytes up to a limit. Thread-safe. A transport may have one of its own, and count requests by it."""

    @property
    def limit(self) -> int:
        """What requests may take now; connections may have a part of what there is."""

    @property
    def used(self) -> int: ...

    def take(self, nbytes: int) -> bool:
        """Count `nbytes`, unless they do not fit. A message larger than the limit may pass alone."""

    def give_back(self, nbytes: int) -> None: ...


class LocalCounter:
    """A Counter of nobody else."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._lock = Lock()

    def take(self, nbytes: int) -> bool:
        with self._lock:
            if self.used + nbytes > self.limit and self.used:
                return False
            self.used += nbytes
            return True

    def give_back(self, nbytes: int) -> None:
        with self._lock:
            self.used -= nbytes


class Budget:
    """What requests reserve their bytes from, unless their transport did. Thread-safe."""

    def __init__(self, counter: Counter | int) -> None:
        self._counter: Counter = LocalCounter(counter) if isinstance(counter, int) else counter
        self.release = self._counter.give_back
        """Give back what was reserved."""

    @property
    def limit(self) -> int:
        return self._counter.limit

    @property
    def used(self) -> int:
        return self._counter.used

    def reserve(self, nbytes: int) -> None:
        """Take `nbytes`, or raise Rejected."""
        if not self._counter.take(nbytes):
            raise Rejected(
                f"Exceeds maximum bytes in flight: {self.used} of {self.limit} bytes are taken, the request "
                f"has {nbytes}. The limit is set by --max-bytes-in-flight."
            )
