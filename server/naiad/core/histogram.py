"""Distributions with fixed buckets, made for a hot path: values are kept as they come and sorted in bulk.

Sorting 256 values at once costs about as much as three alone. What is kept is bounded, and a snapshot leaves nothing
out. Not thread-safe: whoever owns one guards it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

BULK = 256
"""Values that are kept before they are sorted: 2 KiB."""


class Histogram(NamedTuple):
    """A snapshot. `bounds` are the largest values of all buckets but the last, which has none.

    counts: values in each bucket, one more than bounds, not added up. total: the sum of all values.
    """

    bounds: tuple[int, ...]
    counts: tuple[int, ...]
    total: int


class Distribution:
    """A Histogram that grows. Values are integers of at most 63 bits."""

    __slots__ = ("_bounds", "_counts", "_recent", "_total")

    def __init__(self, bounds: Sequence[int]) -> None:
        self._bounds = np.array(bounds, np.int64)
        self._counts = np.zeros(len(bounds) + 1, np.int64)
        self._recent = array("q")
        self._total = 0

    def add(self, values: Iterable[int]) -> None:
        self._recent.extend(values)
        if len(self._recent) >= BULK:
            self._sort()

    def read(self) -> Histogram:
        self._sort()
        return Histogram(tuple(self._bounds.tolist()), tuple(self._counts.tolist()), self._total)

    def _sort(self) -> None:
        if self._recent:
            buckets = np.searchsorted(self._bounds, np.array(self._recent, np.int64))
            self._counts += np.bincount(buckets, minlength=len(self._counts))
            self._total += sum(self._recent)
            del self._recent[:]
