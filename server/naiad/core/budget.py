"""Bytes in flight, for the whole process: what a queue bounded by count cannot bound."""

from __future__ import annotations

from threading import Lock

from naiad.core.errors import Rejected


class Budget:
    """A counter with a limit in bytes. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0
        self._lock = Lock()

    @property
    def used(self) -> int:
        return self._used

    def reserve(self, nbytes: int) -> None:
        """Take `nbytes`, or raise Rejected. A message larger than the whole budget may pass alone."""
        with self._lock:
            if self._used + nbytes > self.limit and self._used:
                raise Rejected(
                    f"Exceeds maximum bytes in flight: {self._used} of {self.limit} bytes are taken, the request "
                    f"has {nbytes}. The limit is set by --max-bytes-in-flight."
                )
            self._used += nbytes

    def release(self, nbytes: int) -> None:
        """Give back what was reserved."""
        with self._lock:
            self._used -= nbytes
