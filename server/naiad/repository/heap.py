"""What the C library does with freed memory, for the whole process: settings of glibc. Elsewhere nothing is set.

- Freed memory is kept for the next request, at the end of each of glibc's arenas: large messages and tensors are
  cheaper so.
- What a large version leaves is given back to the system at once. It lies in the arena of the thread that loaded it,
  and `malloc_trim` gives back what is free in between there, but not at the end. That is given back when something in
  that arena is freed while nothing is to be kept: a `Pin`, which is allocated with the version for this purpose.
- Python's lock is not held for that, and 200 MB take a while. So mappings of their own, which the system gets back when
  a framework frees them, are no way: it does so with the lock held.
"""

from __future__ import annotations

import ctypes
import sys
from threading import Lock
from typing import Any, NewType

LARGEST_MAPPED_FROM = 2**25
"""glibc takes none above; what is larger is returned to the system at once, as ever."""
PIN_BYTES = 2**17
"""More than the 64 KiB from which on glibc looks at the end of an arena when something is freed there."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

Pin = NewType("Pin", int)
"""The address of memory in the arena of the thread that allocated it; 0 for none."""


class Heap:
    """library: with mallopt, malloc_trim, malloc and free of glibc; None for another C library."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._kept: int | None = None
        self._lock = Lock()

    def keep(self, nbytes: int) -> None:
        """Keep so many freed bytes in each arena, and do so with all but the largest pieces."""
        self._kept = nbytes
        if self._library is not None:
            self._library.mallopt(_M_TRIM_THRESHOLD, nbytes)
            self._library.mallopt(_M_MMAP_THRESHOLD, LARGEST_MAPPED_FROM)

    def pin(self) -> Pin:
        """Allocate a pin in the arena of this thread, which is to be handed to `give_back` once."""
        return Pin(0 if self._library is None else self._library.malloc(PIN_BYTES) or 0)

    def give_back(self, pin: Pin) -> None:
        """Give back to the system what is free in the arena of a pin, and what lies free between other things."""
        if self._library is None:
            return
        with self._lock:
            if self._kept is not None:
                self._library.mallopt(_M_TRIM_THRESHOLD, 0)
            self._library.free(pin)
            self._library.malloc_trim(0)
            if self._kept is not None:
                self._library.mallopt(_M_TRIM_THRESHOLD, self._kept)


def _glibc() -> Any:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is None or not hasattr(library, "gnu_get_libc_version"):
        return None
    library.malloc.argtypes, library.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    library.free.argtypes, library.free.restype = [ctypes.c_void_p], None
    return library


HEAP = Heap(_glibc())
"""The process has one."""
