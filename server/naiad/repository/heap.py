"""What the C library does with freed memory, for the whole process: settings of glibc. Elsewhere nothing is set.

- Freed memory is kept for the next request, at the end of each of glibc's arenas; large messages and tensors are
  cheaper so.
- What a large version allocates while it is loaded is a mapping of its own, which goes back to the system when it is
  freed. It would otherwise end in an arena, and at the end of one that is not the first nothing is ever given back:
  a server would keep as much of the versions that have gone as fits into the arenas of its loader threads.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

LARGEST_MAPPED_FROM = 2**25
"""glibc takes none above; what is larger is returned to the system at once, as ever."""
MAPPED_FROM = 2**20
"""Bytes from which on an allocation of a large version is a mapping of its own."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

Call = Callable[..., int]


class Heap:
    """mallopt, malloc_trim: of the C library, None where it has none."""

    def __init__(self, mallopt: Call | None, malloc_trim: Call | None) -> None:
        self._mallopt = mallopt
        self._trim = malloc_trim
        self._keeps = False
        self._lock = Lock()
        self._loads = 0

    def keep(self, nbytes: int) -> None:
        """Keep so many freed bytes, and all that was allocated in pieces below LARGEST_MAPPED_FROM."""
        if self._mallopt is not None:
            self._mallopt(_M_TRIM_THRESHOLD, nbytes)
            self._mallopt(_M_MMAP_THRESHOLD, LARGEST_MAPPED_FROM)
            self._keeps = True

    @contextmanager
    def mapped(self) -> Iterator[None]:
        """Have allocations of MAPPED_FROM bytes go back to the system when they are freed: those that begin meanwhile.

        That is so without `keep`. Any thread, and several at a time.
        """
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def trim(self) -> None:
        """Give the system back what lies free between other things."""
        if self._trim is not None:
            self._trim(0)

    def _count(self, more: int) -> None:
        with self._lock:
            before, self._loads = self._loads, self._loads + more
            if self._mallopt is not None and self._keeps and not (before and self._loads):
                self._mallopt(_M_MMAP_THRESHOLD, MAPPED_FROM if self._loads else LARGEST_MAPPED_FROM)


def _heap() -> Heap:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return Heap(getattr(library, "mallopt", None), getattr(library, "malloc_trim", None))


HEAP = _heap()
"""The process has one."""
