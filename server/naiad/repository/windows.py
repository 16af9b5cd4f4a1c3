"""Bytes of a file here and there, without reading what lies between.

A file is not mapped into memory: one that somebody truncates meanwhile would end the process with a signal.
"""

from __future__ import annotations

import os

PAGE = 4096
"""Bytes that are read at a time."""


class Window:
    """A file of `size` bytes, opened by whoever closes it. What is beyond its end is no bytes."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.size = size
        self._descriptor = descriptor
        self._at = 0
        self._page = b""

    def read(self, at: int, count: int) -> bytes:
        """`count` bytes from `at`, fewer at the end of the file; raises OSError."""
        start = at - self._at
        if start < 0 or start + count > len(self._page):
            self._at, self._page, start = at, os.pread(self._descriptor, max(count, PAGE), at), 0
        return self._page[start : start + count]
